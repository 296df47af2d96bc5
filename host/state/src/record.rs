//! The form of a record: one header line (magic, version, length, BLAKE3), then the payload as it is.

use crate::error::Kind;

/// First word of every record.
const MAGIC: &str = "hostler-record";
/// Version of the record form written here.
const VERSION: u32 = 1;
/// Longest header line accepted, in bytes (magic, two numbers, 64 hexadecimal digits).
const HEADER_MAX_BYTES: usize = 160;

/// Largest payload of any record, in bytes: 16 MiB. A definition is a few KiB.
pub const PAYLOAD_MAX_BYTES: u64 = 16 << 20;
/// Largest record file, in bytes.
pub(crate) const FILE_MAX_BYTES: u64 = PAYLOAD_MAX_BYTES + HEADER_MAX_BYTES as u64;

/// The bytes of a record file that carries `payload`.
#[must_use]
pub fn encode(payload: &[u8]) -> Vec<u8> {
    let described = description(payload);
    let sum = checksum(described.as_bytes(), payload);
    let mut bytes = format!("{described} {sum}\n").into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// The payload of a record file, taken out of `bytes`.
///
/// # Errors
/// [`Kind::Corrupt`] when a single bit differs from what was written; [`Kind::TooNew`] when the record is
/// intact but of a newer form.
pub fn decode(mut bytes: Vec<u8>) -> Result<Vec<u8>, Kind> {
    let end = bytes.iter().take(HEADER_MAX_BYTES).position(|byte| *byte == b'\n').ok_or(Kind::Corrupt)?;
    let header = bytes.get(..end).and_then(|line| std::str::from_utf8(line).ok()).ok_or(Kind::Corrupt)?;
    let (described, sum) = header.rsplit_once(' ').ok_or(Kind::Corrupt)?;
    let payload = bytes.get(end + 1..).ok_or(Kind::Corrupt)?;
    if checksum(described.as_bytes(), payload) != sum {
        return Err(Kind::Corrupt);
    }
    // Compared as text: a number that is only spelt otherwise was not written by `encode`.
    if described != description(payload) {
        return Err(if is_newer(described) { Kind::TooNew } else { Kind::Corrupt });
    }
    bytes.drain(..=end);
    Ok(bytes)
}

/// The header without its checksum.
fn description(payload: &[u8]) -> String {
    format!("{MAGIC} {VERSION} {}", payload.len())
}

/// Whether a header is of a later version, whatever that puts behind its number.
fn is_newer(described: &str) -> bool {
    let mut words = described.split(' ');
    words.next() == Some(MAGIC)
        && words.next().and_then(|text| text.parse().ok()).is_some_and(|version: u32| version > VERSION)
}

/// Covers the header as well, so that a flipped digit there is damage and not another version or length.
fn checksum(described: &[u8], payload: &[u8]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(described).update(b"\n").update(payload);
    hasher.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn newer_record_is_too_new_not_corrupt() {
        let described = "hostler-record 2 3";
        let sum = checksum(described.as_bytes(), b"abc");
        assert_eq!(decode(format!("{described} {sum}\nabc").into_bytes()), Err(Kind::TooNew));
    }

    #[test]
    fn right_checksum_with_wrong_length_or_magic_is_corrupt() {
        let spelt_otherwise = ["hostler-record 01 3", "hostler-record +1 3", "hostler-record 1 03"];
        for described in
            ["hostler-record 1 4", "other 1 3", "hostler-record 1 3 3"].into_iter().chain(spelt_otherwise)
        {
            let sum = checksum(described.as_bytes(), b"abc");
            assert_eq!(decode(format!("{described} {sum}\nabc").into_bytes()), Err(Kind::Corrupt));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

        #[test]
        fn round_trip(payload in prop::collection::vec(any::<u8>(), 0..2000)) {
            prop_assert_eq!(decode(encode(&payload)), Ok(payload));
        }

        #[test]
        fn flipped_bit_is_refused(
            payload in prop::collection::vec(any::<u8>(), 0..300),
            at in any::<prop::sample::Index>(),
            bit in 0_u32..8,
        ) {
            let mut bytes = encode(&payload);
            let index = at.index(bytes.len());
            bytes[index] ^= 1 << bit;
            prop_assert_eq!(decode(bytes), Err(Kind::Corrupt));
        }

        #[test]
        fn torn_file_is_refused(
            payload in prop::collection::vec(any::<u8>(), 1..300),
            at in any::<prop::sample::Index>(),
            zeros in any::<bool>(),
        ) {
            let whole = encode(&payload);
            let keep = at.index(whole.len());
            let mut bytes = whole[..keep].to_vec();
            if zeros {
                bytes.resize(whole.len(), 0);
            }
            prop_assume!(bytes != whole);
            prop_assert_eq!(decode(bytes), Err(Kind::Corrupt));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(decode(bytes).is_err());
        }
    }
}
