//! Raw images: data, not metadata. Their content belongs to the guest and is never looked at.

use super::{Features, Header};
use crate::windows::Windows;

/// A raw image is as large as its file, and says nothing else.
pub(super) fn parse(image: &Windows) -> Header {
    Header {
        virtual_size: image.length(),
        cluster_size: None,
        backing: None,
        data_file: None,
        encryption: None,
        features: Features::default(),
    }
}
