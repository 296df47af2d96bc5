//! qcow, the first generation: a short header that records no format for the image below.

use super::{
    BackingRecord, Encryption, Features, Header, MAX_REFERENCE_BYTES, RecordedFormat, not_of_format, text,
};
use crate::windows::{Halt, Windows, malformed, unsupported};

const MAGIC: u32 = 0x5146_49FB;
const HEADER_BYTES: u64 = 48;

const OFFSET_VERSION: u64 = 4;
const OFFSET_BACKING: u64 = 8;
const OFFSET_SIZE: u64 = 24;
const OFFSET_CLUSTER_BITS: u64 = 32;
const OFFSET_L2_BITS: u64 = 33;
const OFFSET_CRYPT: u64 = 36;
const OFFSET_L1: u64 = 40;

/// What QEMU accepts.
const CLUSTER_BITS: std::ops::RangeInclusive<u8> = 9..=16;
const L2_BITS: std::ops::RangeInclusive<u8> = 6..=13;
const L1_ENTRY_BYTES: u64 = 8;
/// Largest L1 table in bytes, the limit of qcow2.
const MAX_L1_BYTES: u64 = 32 << 20;

const CRYPT_NONE: u32 = 0;
const CRYPT_AES: u32 = 1;

pub(super) fn parse(image: &Windows) -> Result<Header, Halt> {
    if image.u32_be(0)? != MAGIC || image.u32_be(OFFSET_VERSION)? != 1 {
        return Err(not_of_format("qcow", 0));
    }
    let size = image.u64_be(OFFSET_SIZE)?;
    if size == 0 || i64::try_from(size).is_err() {
        return Err(malformed(OFFSET_SIZE, format!("the virtual size is {size} bytes")));
    }
    let (cluster_bits, l2_bits) = (image.u8(OFFSET_CLUSTER_BITS)?, image.u8(OFFSET_L2_BITS)?);
    for (what, bits, allowed, offset) in [
        ("cluster", cluster_bits, CLUSTER_BITS, OFFSET_CLUSTER_BITS),
        ("L2", l2_bits, L2_BITS, OFFSET_L2_BITS),
    ] {
        if !allowed.contains(&bits) {
            let message =
                format!("{what} bits are {bits}, allowed are {} to {}", allowed.start(), allowed.end());
            return Err(malformed(offset, message));
        }
    }
    check_l1(image, size, u32::from(cluster_bits) + u32::from(l2_bits))?;
    let backing = backing(image)?;
    Ok(Header {
        cluster_size: Some(1 << cluster_bits),
        backing,
        encryption: encryption(image.u32_be(OFFSET_CRYPT)?)?,
        features: Features { version: 1, ..Features::default() },
        ..Header::of_size(size)
    })
}

/// The L1 table has no length of its own: it covers the virtual size, and must do so inside the file.
fn check_l1(image: &Windows, size: u64, bits_per_entry: u32) -> Result<(), Halt> {
    let offset = image.u64_be(OFFSET_L1)?;
    let bytes = size.div_ceil(1 << bits_per_entry).saturating_mul(L1_ENTRY_BYTES);
    let inside = offset.checked_add(bytes).is_some_and(|end| end <= image.length());
    if offset >= HEADER_BYTES && bytes <= MAX_L1_BYTES && inside {
        return Ok(());
    }
    let message = format!("the L1 table ({bytes} bytes at byte {offset}) does not lie inside the image");
    Err(malformed(OFFSET_L1, message))
}

fn backing(image: &Windows) -> Result<Option<BackingRecord>, Halt> {
    let (offset, length) = (image.u64_be(OFFSET_BACKING)?, image.u32_be(OFFSET_BACKING + 8)?);
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if offset == 0 && length == 0 {
        return Ok(None);
    }
    if offset < HEADER_BYTES || length == 0 || length > MAX_REFERENCE_BYTES {
        let message = format!(
            "the backing name is {length} bytes at byte {offset}, allowed are 1 to {MAX_REFERENCE_BYTES} after the header"
        );
        return Err(malformed(OFFSET_BACKING, message));
    }
    let name = text(image.bytes(offset, length)?, offset, "backing name")?;
    Ok(Some(BackingRecord { name, format: RecordedFormat::Absent }))
}

fn encryption(method: u32) -> Result<Option<Encryption>, Halt> {
    match method {
        CRYPT_NONE => Ok(None),
        CRYPT_AES => Ok(Some(Encryption::Aes)),
        other => Err(unsupported(OFFSET_CRYPT, format!("encryption method {other} is not known"))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::ErrorKind;
    use crate::format::Format;
    use crate::sample::{self, Bytes};
    use crate::windows::READ_BUDGET;

    /// 1 MiB in clusters of 4 KiB, on `base.img`.
    fn sample() -> Bytes {
        Bytes::zeros(8192)
            .put(0, b"QFI\xfb\0\0\0\x01")
            .be64(8, 48)
            .be32(16, 8)
            .be64(24, 1 << 20)
            .put(32, &[12, 9])
            .be64(40, 4096)
            .put(48, b"base.img")
    }

    fn header_of(image: &Bytes) -> Header {
        sample::facts(Format::Qcow, image).unwrap()
    }

    fn kind(image: &Bytes) -> ErrorKind {
        sample::facts(Format::Qcow, image).unwrap_err().kind()
    }

    #[test]
    fn the_header_is_read_and_records_no_format() {
        let header = header_of(&sample());
        assert_eq!((header.virtual_size, header.cluster_size), (1 << 20, Some(4096)));
        let backing = header.backing.unwrap();
        assert_eq!((backing.name.as_str(), backing.format), ("base.img", RecordedFormat::Absent));
        assert_eq!(header_of(&sample().be64(8, 0).be32(16, 0)).backing, None);
    }

    #[test]
    fn aes_is_a_fact_that_forbids_use() {
        let image = sample().be32(36, 1);
        assert_eq!(header_of(&image).encryption, Some(Encryption::Aes));
        assert_eq!(sample::inspect(Format::Qcow, &image.0).0.unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(kind(&sample().be32(36, 2)), ErrorKind::Unsupported);
    }

    #[test]
    fn every_field_is_checked() {
        for (what, image) in [
            ("magic", sample().be32(0, 0)),
            ("version 2", sample().be32(4, 2)),
            ("size zero", sample().be64(24, 0)),
            ("size negative", sample().be64(24, 1 << 63)),
            ("cluster bits", sample().put(32, &[8])),
            ("cluster bits shift out", sample().put(32, &[64])),
            ("L2 bits", sample().put(33, &[14])),
            ("L1 in the header", sample().be64(40, 40)),
            ("L1 beyond the end", sample().be64(40, 8192)),
            ("L1 wraps", sample().be64(40, u64::MAX)),
            ("L1 too small a file", sample().be64(24, 1 << 40)),
            ("name in the header", sample().be64(8, 40)),
            ("name empty", sample().be32(16, 0)),
            ("name long", sample().be32(16, 1024)),
            ("name with NUL", sample().put(50, b"\0")),
        ] {
            assert_eq!(kind(&image), ErrorKind::Malformed, "{what}");
        }
        assert_eq!(kind(&sample().be64(8, 8190)), ErrorKind::Truncated);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn changed_headers_never_panic(changes in proptest::collection::vec((8usize..64, any::<u8>()), 0..8), cut in 0usize..8192) {
            let image = changes.into_iter().fold(sample(), |image, (at, byte)| image.put(at, &[byte]));
            for bytes in [&image.0[..], &image.0[..cut]] {
                prop_assert!(sample::inspect(Format::Qcow, bytes).1 <= READ_BUDGET);
            }
        }
    }
}
