//! Parallels images, old and with the extension for disks above 2 TiB (`ploop` in domain XML).

use super::{Features, Header, not_of_format};
use crate::error::{ErrorKind, ImageError};
use crate::windows::{Halt, Windows, malformed, unsupported};

const MAGIC: &[u8] = b"WithoutFreeSpace";
const MAGIC_EXTENDED: &[u8] = b"WithouFreSpacExt";
const OFFSET_VERSION: u64 = 16;
const VERSION: u32 = 2;
const OFFSET_BLOCK: u64 = 28;
const OFFSET_ENTRIES: u64 = 32;
const OFFSET_SECTORS: u64 = 36;
const OFFSET_IN_USE: u64 = 44;
const IN_USE: u32 = 0x746F_6E59;
const OFFSET_EXTENSION: u64 = 56;
const HEADER_BYTES: u64 = 64;

const SECTOR: u64 = 512;
const ENTRY_BYTES: u64 = 4;
/// Blocks of up to 1 GiB; programs write 1 MiB or one track.
const MAX_BLOCK_SECTORS: u32 = 1 << 21;

pub(super) fn parse(image: &Windows) -> Result<Header, Halt> {
    let magic = image.bytes(0, MAGIC.len())?;
    let extended = magic == MAGIC_EXTENDED;
    if magic != MAGIC && !extended {
        return Err(not_of_format("parallels", 0));
    }
    let (block, entries) = (image.u32_le(OFFSET_BLOCK)?, u64::from(image.u32_le(OFFSET_ENTRIES)?));
    if block == 0 || block > MAX_BLOCK_SECTORS {
        let message = format!("a block has {block} sectors, allowed are 1 to {MAX_BLOCK_SECTORS}");
        return Err(malformed(OFFSET_BLOCK, message));
    }
    let table_end = entries.saturating_mul(ENTRY_BYTES).saturating_add(HEADER_BYTES);
    if table_end > image.length() {
        let message = format!("the block table ends at byte {table_end}, behind the end of the image");
        return Err(ImageError::new(ErrorKind::Truncated, message).at(OFFSET_ENTRIES).into());
    }
    let sectors = image.u64_le(OFFSET_SECTORS)?;
    // The old form has 32 bits here, and anything in the others.
    let sectors = if extended { sectors } else { sectors & u64::from(u32::MAX) };
    let most = entries.saturating_mul(u64::from(block));
    let Some(size) = sectors.checked_mul(SECTOR).filter(|size| *size != 0 && sectors <= most) else {
        let message = format!("the disk has {sectors} sectors, but the block table covers {most}");
        return Err(malformed(OFFSET_SECTORS, message));
    };
    let version = image.u32_le(OFFSET_VERSION)?;
    if version != VERSION {
        return Err(unsupported(OFFSET_VERSION, format!("version {version} is not known, {VERSION} is")));
    }
    Ok(Header {
        cluster_size: Some(u64::from(block).saturating_mul(SECTOR)),
        features: Features {
            version,
            dirty: image.u32_le(OFFSET_IN_USE)? == IN_USE,
            bitmaps: image.u64_le(OFFSET_EXTENSION)? != 0,
            ..Features::default()
        },
        ..Header::of_size(size)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::format::Format;
    use crate::sample::{self, Bytes};
    use crate::windows::READ_BUDGET;

    /// 1 MiB in blocks of 1 MiB.
    fn sample() -> Bytes {
        Bytes::zeros(4096).put(0, MAGIC_EXTENDED).le32(16, 2).le32(28, 2048).le32(32, 1).le64(36, 2048)
    }

    #[test]
    fn both_forms_are_read() {
        let header = sample::inspect(Format::Parallels, &sample().0).0.unwrap();
        assert_eq!((header.virtual_size, header.cluster_size), (1 << 20, Some(1 << 20)));
        let old = sample().put(0, MAGIC).le64(36, 1 << 32 | 2048);
        assert_eq!(sample::facts(Format::Parallels, &old).unwrap().virtual_size, 1 << 20);
        let marked = sample().le32(44, IN_USE).le64(56, 4096);
        let features = sample::facts(Format::Parallels, &marked).unwrap().features;
        assert!(features.dirty && features.bitmaps);
    }

    #[test]
    fn every_field_is_checked() {
        for (what, image, kind) in [
            ("magic", sample().put(3, b"X"), ErrorKind::Malformed),
            ("block 0", sample().le32(28, 0), ErrorKind::Malformed),
            ("block", sample().le32(28, u32::MAX), ErrorKind::Malformed),
            ("entries", sample().le32(32, u32::MAX), ErrorKind::Truncated),
            ("size 0", sample().le64(36, 0), ErrorKind::Malformed),
            ("size", sample().le64(36, 2049), ErrorKind::Malformed),
            ("version", sample().le32(16, 3), ErrorKind::Unsupported),
            ("short", Bytes(sample().0[..60].to_vec()), ErrorKind::Truncated),
        ] {
            assert_eq!(sample::facts(Format::Parallels, &image).unwrap_err().kind(), kind, "{what}");
        }
    }

    proptest! {
        #[test]
        fn changed_headers_never_panic(changes in proptest::collection::vec((0usize..64, any::<u8>()), 0..8), cut in 0usize..128) {
            let image = changes.into_iter().fold(sample(), |image, (at, byte)| image.put(at, &[byte]));
            for bytes in [&image.0[..], &image.0[..cut]] {
                prop_assert!(sample::inspect(Format::Parallels, bytes).1 <= READ_BUDGET);
            }
        }
    }
}
