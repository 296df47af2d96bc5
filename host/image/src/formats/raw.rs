//! Raw images: data, not metadata. Their content belongs to the guest and is never looked at.

use super::Header;
use crate::windows::Windows;

/// Unit in which a disk is addressed, in bytes.
const SECTOR: u64 = 512;

/// A raw image is as large as its file, up to a whole sector, and says nothing else.
pub(super) fn parse(image: &Windows) -> Header {
    Header::of_size(image.length().checked_next_multiple_of(SECTOR).unwrap_or(u64::MAX))
}
