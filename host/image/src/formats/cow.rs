//! User-mode-Linux copy-on-write images. No hypervisor opens them any more; their header is read to say so.

use super::{BackingRecord, Features, Header, RecordedFormat, not_of_format, text};
use crate::windows::{Halt, Windows, malformed, unsupported};

const MAGIC: &[u8] = b"OOOM";
const OFFSET_VERSION: u64 = 4;
const VERSION: u32 = 2;
const OFFSET_BACKING: u64 = 8;
const BACKING_BYTES: usize = 1024;
const OFFSET_SIZE: u64 = 1036;

pub(super) fn parse(image: &Windows) -> Result<Header, Halt> {
    if image.bytes(0, MAGIC.len())? != MAGIC {
        return Err(not_of_format("cow", 0));
    }
    let version = image.u32_be(OFFSET_VERSION)?;
    if version != VERSION {
        return Err(unsupported(OFFSET_VERSION, format!("cow version {version} is not known, {VERSION} is")));
    }
    let field = image.bytes(OFFSET_BACKING, BACKING_BYTES)?;
    let Some(name) = field.iter().position(|byte| *byte == 0).and_then(|end| field.get(..end)) else {
        return Err(malformed(OFFSET_BACKING, "the backing name does not end"));
    };
    let name = text(name, OFFSET_BACKING, "backing name")?;
    let size = image.u64_be(OFFSET_SIZE)?;
    if size == 0 || i64::try_from(size).is_err() {
        return Err(malformed(OFFSET_SIZE, format!("the virtual size is {size} bytes")));
    }
    Ok(Header {
        backing: (!name.is_empty()).then_some(BackingRecord { name, format: RecordedFormat::Absent }),
        features: Features { version, ..Features::default() },
        ..Header::of_size(size)
    })
}

#[cfg(test)]
mod tests {
    use crate::error::ErrorKind;
    use crate::format::Format;
    use crate::sample::{self, Bytes};

    fn sample() -> Bytes {
        Bytes::zeros(4096).put(0, b"OOOM\0\0\0\x02").put(8, b"/srv/base").be64(1036, 1 << 20)
    }

    #[test]
    fn the_header_is_read_but_the_image_never_used() {
        let header = sample::facts(Format::Cow, &sample()).unwrap();
        assert_eq!((header.virtual_size, header.backing.unwrap().name.as_str()), (1 << 20, "/srv/base"));
        let refusal = sample::inspect(Format::Cow, &sample().0).0.unwrap_err();
        assert_eq!(refusal.kind(), ErrorKind::FormatUnsupported);
    }

    #[test]
    fn what_is_broken_is_refused() {
        for (what, image, kind) in [
            ("magic", sample().put(0, b"X"), ErrorKind::Malformed),
            ("name without end", sample().put(8, &[b'a'; 1024]), ErrorKind::Malformed),
            ("size", sample().be64(1036, 0), ErrorKind::Malformed),
            ("version", sample().be32(4, 3), ErrorKind::Unsupported),
            ("short", Bytes(sample().0[..1040].to_vec()), ErrorKind::Truncated),
        ] {
            assert_eq!(sample::facts(Format::Cow, &image).unwrap_err().kind(), kind, "{what}");
        }
    }
}
