//! Tests of the LUKS parsers: each rule broken alone.

use proptest::prelude::*;

use super::*;
use crate::error::{ErrorKind, ImageError};
use crate::inspection::Inspection;
use crate::sample::{self, Bytes, LUKS_DISK_BYTES as DISK_BYTES, LUKS_PAYLOAD_SECTORS as PAYLOAD_SECTORS};
use crate::windows::READ_BUDGET;

const SLOT: usize = 208;

/// Version 1, one slot in use, room for eight.
fn version1() -> Bytes {
    sample::luks1()
}

const DOCUMENT: &str = r#"{"keyslots":{"0":{"type":"luks2","key_size":64,
    "area":{"type":"raw","offset":"32768","size":"258048"},
    "kdf":{"type":"argon2id","time":4,"memory":1048576,"cpus":4}}},
    "segments":{"0":{"type":"crypt","offset":"1048576","size":"dynamic","encryption":"aes-xts-plain64"}},
    "config":{"json_size":"12288"}}"#;

fn version2(document: &str) -> Bytes {
    Bytes::zeros((1 << 20) + DISK_BYTES)
        .put(0, b"LUKS\xba\xbe\0\x02")
        .be64(8, 16_384)
        .put(4096, document.as_bytes())
}

fn facts(image: &Bytes) -> Result<Header, ImageError> {
    sample::drive(Inspection::luks(image.0.len() as u64).facts_only(), &image.0).0
}

fn luks(image: &Bytes) -> Luks {
    match facts(image).unwrap().encryption {
        Some(Encryption::Luks(luks)) => luks,
        other => panic!("{other:?}"),
    }
}

#[test]
fn version_1_is_read() {
    let image = version1();
    let found = luks(&image);
    assert_eq!((found.version, found.payload_offset, found.active_slots), (1, 2 << 20, 1));
    assert_eq!((found.cipher.as_str(), found.key_bits), ("aes-xts-plain64", 512));
    assert_eq!(facts(&image).unwrap().virtual_size, DISK_BYTES as u64);
    assert!(sample::drive(Inspection::luks(image.0.len() as u64), &image.0).0.is_ok());
}

#[test]
fn version_1_is_checked_before_any_key_is_tried() {
    for (what, image) in [
        ("magic", version1().put(0, b"X")),
        ("payload in the header", version1().be32(104, 0)),
        ("payload beyond the end", version1().be32(104, u32::MAX)),
        ("payload at the end", version1().be32(104, PAYLOAD_SECTORS + 8)),
        ("key bytes", version1().be32(108, u32::MAX)),
        ("no key", version1().be32(108, 0)),
        ("digest work", version1().be32(164, u32::MAX)),
        ("no digest work", version1().be32(164, 0)),
        ("slot work", version1().be32(SLOT + 4, u32::MAX)),
        ("slot state", version1().be32(SLOT, 1)),
        ("no slot in use", version1().be32(SLOT, 0xDEAD)),
        ("stripes", version1().be32(SLOT + 44, u32::MAX)),
        ("material in the header", version1().be32(SLOT + 40, 0)),
        ("material in the disk", version1().be32(SLOT + 40, PAYLOAD_SECTORS)),
        ("material of a free slot", version1().be32(SLOT + 88, u32::MAX)),
        ("material twice", version1().be32(SLOT + 88, 9)),
        ("cipher without end", version1().put(8, &[b'A'; 32])),
        ("cipher empty", version1().put(8, &[0; 32])),
        ("broken and unknown", version1().put(8, b"rot13").be32(164, 0)),
    ] {
        assert_eq!(facts(&image).unwrap_err().kind(), ErrorKind::Malformed, "{what}");
    }
}

#[test]
fn unknown_algorithms_and_versions_are_unsupported() {
    for (what, image) in [
        ("version", version1().put(6, &[0, 3])),
        ("cipher", version1().put(8, b"rot13")),
        ("mode", version1().put(40, b"gcm-plain64")),
        ("hash", version1().put(72, b"crc32\0")),
    ] {
        assert_eq!(facts(&image).unwrap_err().kind(), ErrorKind::Unsupported, "{what}");
    }
}

#[test]
fn version_2_is_read_but_not_used() {
    let image = version2(DOCUMENT);
    let found = luks(&image);
    assert_eq!((found.version, found.payload_offset, found.active_slots), (2, 1 << 20, 1));
    assert_eq!((found.cipher.as_str(), found.key_bits), ("aes-xts-plain64", 512));
    assert_eq!(facts(&image).unwrap().virtual_size, DISK_BYTES as u64);
    let fixed = version2(&DOCUMENT.replace("dynamic", "512"));
    assert_eq!(facts(&fixed).unwrap().virtual_size, 512);
    let refusal = sample::drive(Inspection::luks(image.0.len() as u64), &image.0).0.unwrap_err();
    assert_eq!(refusal.kind(), ErrorKind::Unsupported);
}

#[test]
fn version_2_is_checked_too() {
    for (from, to) in [
        ("{\"keyslots\"", "{\"keyslot\""),
        ("\"segments\"", "segments"),
        ("\"offset\":\"1048576\"", "\"offset\":1048576"),
        ("\"offset\":\"1048576\"", "\"offset\":\"0\""),
        ("\"offset\":\"1048576\"", "\"offset\":\"9999999999999999999\""),
        ("dynamic", "8192"),
        ("dynamic", "18446744073709551615"),
        ("aes-xts-plain64", ""),
        ("aes-xts-plain64", "a b"),
        ("32768", "4096"),
        ("32768", "1000000"),
        ("258048", "18446744073709551615"),
        ("258048", "0"),
        ("\"memory\":1048576", "\"memory\":99999999"),
        ("\"time\":4", "\"time\":0"),
        ("argon2id", "pbkdf2"),
        ("\"key_size\":64", "\"key_size\":0"),
    ] {
        assert!(DOCUMENT.contains(from), "{from}");
        let error = facts(&version2(&DOCUMENT.replace(from, to))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{from} -> {to}");
    }
    for (from, to) in [
        ("crypt", "linear"),
        ("argon2id", "scrypt"),
        ("\"config\":{", "\"config\":{\"requirements\":{\"mandatory\":[\"x\"]},"),
        ("\"segments\":{", "\"segments\":{\"1\":{},"),
    ] {
        let error = facts(&version2(&DOCUMENT.replace(from, to))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{from} -> {to}");
    }
    for (what, image) in [
        ("header size", version2(DOCUMENT).be64(8, 16_385)),
        ("header size zero", version2(DOCUMENT).be64(8, 0)),
        ("second header", version2(DOCUMENT).be64(256, 16_384)),
    ] {
        assert_eq!(facts(&image).unwrap_err().kind(), ErrorKind::Malformed, "{what}");
    }
    let short = Bytes(version2(DOCUMENT).0[..8192].to_vec());
    assert_eq!(facts(&short).unwrap_err().kind(), ErrorKind::Truncated);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn changed_containers_never_panic(
        changes in proptest::collection::vec((6usize..600, any::<u8>()), 0..8),
        in_document in proptest::collection::vec((4096usize..4700, any::<u8>()), 0..4),
        cut in 0usize..8192,
    ) {
        for whole in [version1(), version2(DOCUMENT)] {
            let image = changes.iter().chain(&in_document).fold(whole, |image, (at, byte)| image.put(*at, &[*byte]));
            for bytes in [&image.0[..], &image.0[..cut]] {
                let (result, asked) = sample::drive(Inspection::luks(bytes.len() as u64).facts_only(), bytes);
                prop_assert!(asked <= READ_BUDGET);
                if let Ok(header) = result {
                    prop_assert!(header.virtual_size > 0 && header.virtual_size < bytes.len() as u64);
                }
            }
        }
    }
}
