//! Optical discs: data like a raw image, with a volume descriptor that says so.

use super::{Header, not_of_format, raw};
use crate::content::{OFFSET_VOLUME, VOLUME_MARK};
use crate::windows::{Halt, Windows};

/// A disc is as large as its file. Hypervisors open it as raw, for reading only.
pub(super) fn parse(image: &Windows) -> Result<Header, Halt> {
    let mark = OFFSET_VOLUME.saturating_add(1);
    let end = mark.saturating_add(u64::try_from(VOLUME_MARK.len()).unwrap_or(u64::MAX));
    if image.length() < end || image.bytes(mark, VOLUME_MARK.len())? != VOLUME_MARK {
        return Err(not_of_format("iso", mark));
    }
    Ok(raw::parse(image))
}

#[cfg(test)]
mod tests {
    use crate::error::ErrorKind;
    use crate::format::Format;
    use crate::sample::{self, Bytes};

    #[test]
    fn a_disc_is_as_large_as_its_file_and_not_a_format_to_be_used() {
        let image = Bytes::zeros(40_000).put(32_769, b"CD001");
        assert_eq!(sample::facts(Format::Iso, &image).unwrap().virtual_size, 40_448);
        let refusal = sample::inspect(Format::Iso, &image.0).0.unwrap_err();
        assert_eq!(refusal.kind(), ErrorKind::FormatUnsupported);
        assert!(refusal.hints()[0].text.contains("raw"), "{refusal:?}");
        for image in [Bytes::zeros(40_000), Bytes::zeros(100)] {
            assert_eq!(sample::facts(Format::Iso, &image).unwrap_err().kind(), ErrorKind::Malformed);
        }
    }
}
