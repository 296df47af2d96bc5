//! LUKS containers, versions 1 and 2, around a whole raw disk or inside a qcow2 image.
//!
//! What is checked is what a program would trust before it has a key: where areas lie, and how much work it is
//! made to do. The content behind the header is not looked at.

#[cfg(test)]
mod tests;
mod version1;
mod version2;

use super::{Encryption, Features, Header, Luks, not_of_format};
use crate::windows::{Halt, Windows, malformed, unsupported};

const MAGIC: &[u8] = b"LUKS\xba\xbe";
const OFFSET_VERSION: u64 = 6;

/// Where a container lies in an image.
#[derive(Clone, Copy)]
pub(super) struct Area {
    pub(super) start: u64,
    pub(super) length: u64,
}

impl Area {
    /// The position in the image of a byte of the container, for reading and for blame.
    fn at(self, offset: u64) -> u64 {
        self.start.saturating_add(offset)
    }
}

/// Parses a container that is the whole image: a raw disk, encrypted.
pub(super) fn parse(image: &Windows) -> Result<Header, Halt> {
    let (luks, size) = container(image, Area { start: 0, length: image.length() })?;
    let size = size.unwrap_or_else(|| image.length().saturating_sub(luks.payload_offset));
    if size == 0 || luks.payload_offset.checked_add(size).is_none_or(|end| end > image.length()) {
        let message = format!(
            "the encrypted disk ({size} bytes at byte {}) does not lie inside the image",
            luks.payload_offset
        );
        return Err(malformed(0, message));
    }
    let features = Features { version: u32::from(luks.version), ..Features::default() };
    Ok(Header { encryption: Some(Encryption::Luks(luks)), features, ..Header::of_size(size) })
}

/// Parses the header of a container inside a qcow2 image; its payload is the clusters of that image.
pub(super) fn inside(image: &Windows, area: Area) -> Result<Luks, Halt> {
    container(image, area).map(|(luks, _)| luks)
}

/// What the header says, and the size of the encrypted disk where it has a fixed one.
fn container(image: &Windows, area: Area) -> Result<(Luks, Option<u64>), Halt> {
    if image.bytes(area.start, MAGIC.len())? != MAGIC {
        return Err(not_of_format("luks", area.start));
    }
    match image.u16_be(area.at(OFFSET_VERSION))? {
        1 => version1::parse(image, area).map(|luks| (luks, None)),
        2 => version2::parse(image, area),
        version => {
            let message = format!("LUKS version {version} is not known, 1 and 2 are");
            Err(unsupported(area.at(OFFSET_VERSION), message))
        }
    }
}
