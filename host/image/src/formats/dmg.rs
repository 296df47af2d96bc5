//! Apple disk images, which are known by their last sector. Read only.

use std::ops::Range;

use super::{Features, Header, not_of_format};
use crate::windows::{Halt, Windows, malformed, unsupported};

const TRAILER_BYTES: u64 = 512;
const MAGIC: &[u8] = b"koly";
const OFFSET_VERSION: u64 = 4;
const VERSION: u32 = 4;
/// Offsets of the pairs of place and length of what the trailer refers to.
const PARTS: [(&str, u64); 3] = [("data", 24), ("resources", 40), ("property list", 216)];
const OFFSET_SECTORS: u64 = 492;
const SECTOR: u64 = 512;

pub(super) fn parse(image: &Windows) -> Result<Header, Halt> {
    let Some(start) = image.before_end(TRAILER_BYTES) else { return Err(not_of_format("dmg", 0)) };
    let place = |offset: u64| start.saturating_add(offset);
    if image.bytes(start, MAGIC.len())? != MAGIC {
        return Err(not_of_format("dmg", start));
    }
    let version = image.u32_be(place(OFFSET_VERSION))?;
    if version != VERSION {
        return Err(unsupported(
            place(OFFSET_VERSION),
            format!("version {version} is not known, {VERSION} is"),
        ));
    }
    for (what, offset) in PARTS {
        let Range { start: begin, end } = part(image, place(offset))?;
        if end > start {
            let message = format!("the {what} (from byte {begin}) runs into the trailer, at byte {start}");
            return Err(malformed(place(offset), message));
        }
    }
    let sectors = image.u64_be(place(OFFSET_SECTORS))?;
    let size = sectors.checked_mul(SECTOR).filter(|size| *size != 0 && i64::try_from(*size).is_ok());
    let Some(size) = size else {
        return Err(malformed(place(OFFSET_SECTORS), format!("the disk has {sectors} sectors")));
    };
    Ok(Header { features: Features { version, ..Features::default() }, ..Header::of_size(size) })
}

fn part(image: &Windows, field: u64) -> Result<Range<u64>, Halt> {
    let (start, length) = (image.u64_be(field)?, image.u64_be(field.saturating_add(8))?);
    Ok(start..start.saturating_add(length))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::ErrorKind;
    use crate::format::Format;
    use crate::sample::{self, Bytes};
    use crate::windows::READ_BUDGET;

    const AT: usize = 8192 - 512;

    fn sample() -> Bytes {
        Bytes::zeros(8192)
            .put(AT, MAGIC)
            .be32(AT + 4, 4)
            .be64(AT + 32, 4096)
            .be64(AT + 216, 4096)
            .be64(AT + 224, 1000)
            .be64(AT + 492, 2048)
    }

    #[test]
    fn the_trailer_says_how_large_it_is() {
        let header = sample::inspect(Format::Dmg, &sample().0).0.unwrap();
        assert_eq!((header.virtual_size, header.features.version), (1 << 20, 4));
    }

    #[test]
    fn every_field_is_checked() {
        for (what, image, kind) in [
            ("magic", sample().put(AT, b"X"), ErrorKind::Malformed),
            ("version", sample().be32(AT + 4, 5), ErrorKind::Unsupported),
            ("data", sample().be64(AT + 24, 8000), ErrorKind::Malformed),
            ("list", sample().be64(AT + 224, u64::MAX), ErrorKind::Malformed),
            ("size 0", sample().be64(AT + 492, 0), ErrorKind::Malformed),
            ("size", sample().be64(AT + 492, 1 << 60), ErrorKind::Malformed),
            ("short", Bytes(vec![0; 511]), ErrorKind::Malformed),
        ] {
            assert_eq!(sample::facts(Format::Dmg, &image).unwrap_err().kind(), kind, "{what}");
        }
    }

    proptest! {
        #[test]
        fn changed_trailers_never_panic(changes in proptest::collection::vec((4usize..512, any::<u8>()), 0..8), cut in 0usize..8192) {
            let image = changes.into_iter().fold(sample(), |image, (at, byte)| image.put(AT + at, &[byte]));
            for bytes in [&image.0[..], &image.0[cut..]] {
                prop_assert!(sample::inspect(Format::Dmg, bytes).1 <= READ_BUDGET);
            }
        }
    }
}
