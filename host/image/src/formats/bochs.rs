//! Growing images of Bochs, which hypervisors open for reading only.

use super::{Features, Header, not_of_format};
use crate::error::{ErrorKind, ImageError};
use crate::windows::{Halt, Windows, malformed, unsupported};

const MAGIC: &[u8] = b"Bochs Virtual HD Image\0";
const OFFSET_KIND: u64 = 32;
/// A disk that grows; others are layers of undo data.
const KIND: &[u8] = b"Redolog\0";
const VARIANT: &[u8] = b"Growing\0";
const OFFSET_VARIANT: u64 = 48;
const OFFSET_VERSION: u64 = 64;
const VERSION_1: u32 = 0x1_0000;
const VERSION_2: u32 = 0x2_0000;
const OFFSET_HEADER: u64 = 68;
const OFFSET_ENTRIES: u64 = 72;
const OFFSET_EXTENT: u64 = 80;
/// Where the size of the disk stands, by version.
const OFFSET_SIZE_1: u64 = 84;
const OFFSET_SIZE_2: u64 = 88;

/// What QEMU accepts.
const MAX_ENTRIES: u32 = 0x10_0000;
const EXTENTS: std::ops::RangeInclusive<u32> = 512..=0x80_0000;
const MIN_HEADER: u64 = 96;
const SECTOR: u64 = 512;

pub(super) fn parse(image: &Windows) -> Result<Header, Halt> {
    if image.bytes(0, MAGIC.len())? != MAGIC {
        return Err(not_of_format("bochs", 0));
    }
    let is = |offset: u64, name: &[u8]| Ok::<_, Halt>(image.bytes(offset, name.len())? == name);
    if !is(OFFSET_KIND, KIND)? || !is(OFFSET_VARIANT, VARIANT)? {
        return Err(unsupported(OFFSET_KIND, "it is not a growing image, and others are not supported"));
    }
    let version = image.u32_le(OFFSET_VERSION)?;
    let offset = match version {
        VERSION_1 => OFFSET_SIZE_1,
        VERSION_2 => OFFSET_SIZE_2,
        other => return Err(unsupported(OFFSET_VERSION, format!("version {other:#x} is not known"))),
    };
    let (entries, extent) = (image.u32_le(OFFSET_ENTRIES)?, image.u32_le(OFFSET_EXTENT)?);
    if !EXTENTS.contains(&extent) || !extent.is_power_of_two() {
        let message = format!("an extent has {extent} bytes, allowed are powers of two from 512 to 8 MiB");
        return Err(malformed(OFFSET_EXTENT, message));
    }
    let header = u64::from(image.u32_le(OFFSET_HEADER)?);
    let end = header.saturating_add(u64::from(entries) * 4);
    if entries > MAX_ENTRIES || header < MIN_HEADER {
        let message = format!("the catalog ({entries} entries at byte {header}) is where none can be");
        return Err(malformed(OFFSET_ENTRIES, message));
    }
    if end > image.length() {
        let message = format!("the catalog ends at byte {end}, behind the end of the image");
        return Err(ImageError::new(ErrorKind::Truncated, message).at(OFFSET_ENTRIES).into());
    }
    let (size, most) = (image.u64_le(offset)?, u64::from(entries) * u64::from(extent));
    if size < SECTOR || size > most {
        return Err(malformed(offset, format!("the disk has {size} bytes, but the catalog covers {most}")));
    }
    Ok(Header {
        cluster_size: Some(u64::from(extent)),
        subformat: Some("growing"),
        features: Features { version: version >> 16, ..Features::default() },
        ..Header::of_size(size / SECTOR * SECTOR)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::format::Format;
    use crate::sample::{self, Bytes};
    use crate::windows::READ_BUDGET;

    /// 1 MiB in extents of 512 KiB.
    fn sample() -> Bytes {
        Bytes::zeros(4096)
            .put(0, MAGIC)
            .put(32, b"Redolog")
            .put(48, b"Growing")
            .le32(64, VERSION_2)
            .le32(68, 512)
            .le32(72, 2)
            .le32(80, 512 << 10)
            .le64(88, 1 << 20)
    }

    #[test]
    fn both_versions_are_read() {
        let header = sample::inspect(Format::Bochs, &sample().0).0.unwrap();
        assert_eq!((header.virtual_size, header.cluster_size), (1 << 20, Some(512 << 10)));
        let old = sample().le32(64, VERSION_1).le64(84, 1 << 19);
        assert_eq!(sample::facts(Format::Bochs, &old).unwrap().virtual_size, 1 << 19);
    }

    #[test]
    fn every_field_is_checked() {
        for (what, image, kind) in [
            ("magic", sample().put(3, b"X"), ErrorKind::Malformed),
            ("kind", sample().put(32, b"x"), ErrorKind::Unsupported),
            ("variant", sample().put(48, b"x"), ErrorKind::Unsupported),
            ("version", sample().le32(64, 3), ErrorKind::Unsupported),
            ("extent odd", sample().le32(80, 1000), ErrorKind::Malformed),
            ("extent", sample().le32(80, 1 << 31), ErrorKind::Malformed),
            ("catalog in the header", sample().le32(68, 0), ErrorKind::Malformed),
            ("catalog", sample().le32(72, u32::MAX), ErrorKind::Malformed),
            ("catalog behind the end", sample().le32(68, u32::MAX), ErrorKind::Truncated),
            ("size 0", sample().le64(88, 0), ErrorKind::Malformed),
            ("size", sample().le64(88, 1 << 62), ErrorKind::Malformed),
            ("short", Bytes(sample().0[..80].to_vec()), ErrorKind::Truncated),
        ] {
            assert_eq!(sample::facts(Format::Bochs, &image).unwrap_err().kind(), kind, "{what}");
        }
    }

    proptest! {
        #[test]
        fn changed_headers_never_panic(changes in proptest::collection::vec((0usize..96, any::<u8>()), 0..8), cut in 0usize..128) {
            let image = changes.into_iter().fold(sample(), |image, (at, byte)| image.put(at, &[byte]));
            for bytes in [&image.0[..], &image.0[..cut]] {
                prop_assert!(sample::inspect(Format::Bochs, bytes).1 <= READ_BUDGET);
            }
        }
    }
}
