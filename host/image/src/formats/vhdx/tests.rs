//! VHDX built byte by byte, with right checksums unless a test is about them.

use proptest::prelude::*;

use super::checksum;
use crate::error::ErrorKind;
use crate::format::Format;
use crate::formats::Header;
use crate::inspection::Inspection;
use crate::sample::{self, Bytes};
use crate::windows::READ_BUDGET;

const MIB: usize = 1 << 20;
const HEADERS: [usize; 2] = [64 << 10, 128 << 10];
const TABLES: [usize; 2] = [192 << 10, 256 << 10];
const METADATA: usize = 2 * MIB;
const BLOCKS: usize = 3 * MIB;
/// Entries of the metadata: parameters, size, two sector sizes, in this order, behind the head of the table.
const ITEMS: usize = METADATA + 32;
const VALUES: usize = METADATA + (64 << 10);

const REGION_BLOCKS: &[u8] = b"\x66\x77\xc2\x2d\x23\xf6\x00\x42\x9d\x64\x11\x5e\x9b\xfd\x4a\x08";
const REGION_METADATA: &[u8] = b"\x06\xa2\x7c\x8b\x90\x47\x9a\x4b\xb8\xfe\x57\x5f\x05\x0f\x88\x6e";
const VALUES_OF: [(&[u8], u64, usize); 4] = [
    (b"\x37\x67\xa1\xca\x36\xfa\x43\x4d\xb3\xb6\x33\xf0\xaa\x44\xe7\x6b", 1 << 20, 8),
    (b"\x24\x42\xa5\x2f\x1b\xcd\x76\x48\xb2\x11\x5d\xbe\xd8\x3b\xf4\xb8", 8 << 20, 8),
    (b"\x1d\xbf\x41\x81\x6f\xa9\x09\x47\xba\x47\xf2\x33\xa8\xfa\xab\x5f", 512, 4),
    (b"\xc7\x48\xa3\xcd\x5d\x44\x71\x44\x9c\xc9\xe9\x88\x52\x51\xc5\x56", 4096, 4),
];
const LOCATOR: &[u8] = b"\x2d\x5f\xd3\xa8\x0b\xb3\x4d\x45\xab\xf7\xd3\xd8\x48\x34\xab\x0c";

/// 8 MiB in blocks of 1 MiB, none of which is there; log, metadata and block table take a MiB each.
fn plain() -> Bytes {
    let mut image = Bytes::zeros(5 * MIB).put(0, b"vhdxfile");
    for (at, number) in HEADERS.into_iter().zip(1..) {
        image = image.put(at, b"head").le64(at + 8, number).put(at + 66, b"\x01");
        image = image.le32(at + 68, 1 << 20).le64(at + 72, 1 << 20);
    }
    for at in TABLES {
        image = image.put(at, b"regi").le32(at + 8, 2);
        for (entry, (id, place)) in
            [(REGION_BLOCKS, BLOCKS), (REGION_METADATA, METADATA)].into_iter().enumerate()
        {
            let entry = at + 16 + 32 * entry;
            image = image
                .put(entry, id)
                .le64(entry + 16, place as u64)
                .le32(entry + 24, 1 << 20)
                .le32(entry + 28, 1);
        }
    }
    image = image.put(METADATA, b"metadata").put(METADATA + 10, b"\x04");
    for (index, (id, value, length)) in VALUES_OF.into_iter().enumerate() {
        let (entry, offset) = (ITEMS + 32 * index, (64 << 10) + 8 * index);
        image = image.put(entry, id).le32(entry + 16, u32::try_from(offset).unwrap());
        image = image
            .le32(entry + 20, u32::try_from(length).unwrap())
            .put(METADATA + offset, &value.to_le_bytes());
    }
    image
}

/// The same bytes with every checksum right.
fn summed(mut image: Bytes) -> Bytes {
    for (places, length) in [(HEADERS, 4096), (TABLES, 64 << 10)] {
        for at in places {
            if let Some(structure) = image.0.get_mut(at..at + length) {
                checksum::put(structure, 4);
            }
        }
    }
    image
}

fn image() -> Bytes {
    summed(plain())
}

/// With one more item of metadata.
fn with_item(id: &[u8], offset: u32, length: u32, flags: u32) -> Bytes {
    let entry = ITEMS + 32 * 4;
    let image = image().put(METADATA + 10, b"\x05").put(entry, id);
    image.le32(entry + 16, offset).le32(entry + 20, length).le32(entry + 24, flags)
}

/// A differencing disk whose locator has these pairs.
fn child(pairs: &[(&str, &str)]) -> Bytes {
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let at = VALUES + 4096;
    let mut image = with_item(LOCATOR, (64 << 10) + 4096, 4096, 4).le32(VALUES + 4, 2);
    image = image.put(at + 18, &[u8::try_from(pairs.len()).unwrap()]);
    for (index, (key, value)) in pairs.iter().enumerate() {
        let (entry, place) = (20 + 12 * index, 1024 * (index + 1));
        let (key, value) = (wide(key), wide(value));
        image = image.le32(at + entry, u32::try_from(place).unwrap()).put(at + place, &key);
        image = image.le32(at + entry + 4, u32::try_from(place + 512).unwrap()).put(at + place + 512, &value);
        image = image.put(at + entry + 8, &[u8::try_from(key.len()).unwrap(), 0]);
        image = image.put(at + entry + 10, &[u8::try_from(value.len()).unwrap(), 0]);
    }
    image
}

fn facts(image: &Bytes) -> Header {
    sample::facts(Format::Vhdx, image).unwrap()
}

/// What a screened inspection for use refuses; none if it does not.
fn refusal(image: &Bytes) -> Option<ErrorKind> {
    let inspection = Inspection::new(Format::Vhdx, image.0.len() as u64).screened();
    sample::drive(inspection, &image.0).0.err().map(|error| error.kind())
}

#[test]
fn a_disk_is_read() {
    assert_eq!(refusal(&image()), None);
    let header = facts(&image());
    assert_eq!((header.virtual_size, header.cluster_size), (8 << 20, Some(1 << 20)));
    assert_eq!((header.subformat, header.features.version), (Some("dynamic"), 1));
    assert_eq!(facts(&image().le32(VALUES + 4, 1)).subformat, Some("fixed"));
}

#[test]
fn the_header_with_the_higher_number_counts() {
    let dirty = |at: usize| plain().put(at + 48, &[7; 16]);
    assert!(!facts(&summed(dirty(HEADERS[0]))).features.dirty);
    assert!(facts(&summed(dirty(HEADERS[1]))).features.dirty);
    assert!(facts(&summed(dirty(HEADERS[0]).le64(HEADERS[0] + 8, 9))).features.dirty);
    assert!(facts(&image().put(HEADERS[0] + 48, &[7])).features.version == 1, "one damaged header is enough");
    let same = plain().le64(HEADERS[0] + 8, 2);
    assert_eq!(refusal(&summed(same.clone())), None);
    assert_eq!(refusal(&summed(same.put(HEADERS[0] + 20, b"x"))), Some(ErrorKind::Malformed));
    let neither = image().le32(HEADERS[0] + 4, 0).le32(HEADERS[1] + 4, 0);
    assert_eq!(refusal(&neither), Some(ErrorKind::Malformed));
}

#[test]
fn a_log_that_is_not_empty_forbids_use() {
    let dirty = summed(plain().put(HEADERS[1] + 48, &[7; 16]));
    assert_eq!(refusal(&dirty), Some(ErrorKind::Corrupt));
}

#[test]
fn a_parent_is_a_fact_that_forbids_use() {
    let named =
        child(&[("parent_linkage", "{0}"), ("absolute_win32_path", "C:\\b"), ("relative_path", "..\\b")]);
    assert_eq!(facts(&named).backing.unwrap().name, "..\\b");
    assert_eq!(refusal(&named), Some(ErrorKind::Unsupported));
    assert_eq!(facts(&child(&[("other", "x")])).backing, None);
    let outside = child(&[("relative_path", "b")]).le32(VALUES + 4096 + 20, u32::MAX);
    assert_eq!(refusal(&outside), Some(ErrorKind::Malformed));
    let nameless = image().le32(VALUES + 4, 2);
    assert_eq!(refusal(&nameless), Some(ErrorKind::Unsupported));
}

#[test]
fn regions_are_checked() {
    let table = |change: fn(Bytes, usize) -> Bytes| summed(TABLES.into_iter().fold(plain(), change));
    let third = |image: Bytes, at: usize, place: u64, required: u32| {
        let entry = at + 16 + 64;
        image
            .le32(at + 8, 3)
            .put(entry, &[9; 16])
            .le64(entry + 16, place)
            .le32(entry + 24, 1 << 20)
            .le32(entry + 28, required)
    };
    for (what, image, kind) in [
        ("sum", image().le32(TABLES[0] + 4, 0), Some(ErrorKind::Malformed)),
        ("count", table(|image, at| image.le32(at + 8, 2048)), Some(ErrorKind::Malformed)),
        ("one missing", table(|image, at| image.le32(at + 8, 1)), Some(ErrorKind::Malformed)),
        ("twice", table(|image, at| image.put(at + 48, REGION_BLOCKS)), Some(ErrorKind::Malformed)),
        ("overlap", table(|image, at| image.le64(at + 32, METADATA as u64)), Some(ErrorKind::Malformed)),
        ("on the log", table(|image, at| image.le64(at + 32, 1 << 20)), Some(ErrorKind::Malformed)),
        ("in front", table(|image, at| image.le64(at + 32, 0)), Some(ErrorKind::Malformed)),
        ("not whole", table(|image, at| image.le64(at + 32, (3 << 20) + 512)), Some(ErrorKind::Malformed)),
        ("empty", table(|image, at| image.le32(at + 40, 0)), Some(ErrorKind::Malformed)),
        ("behind the end", table(|image, at| image.le64(at + 32, 1 << 62)), Some(ErrorKind::Truncated)),
        ("wraps", table(|image, at| image.le64(at + 32, u64::MAX << 20)), Some(ErrorKind::Malformed)),
        ("copy", image().put(TABLES[1] + 100, b"x"), Some(ErrorKind::Malformed)),
        ("unknown", summed(TABLES.into_iter().fold(plain(), |image, at| third(image, at, 8 << 20, 0))), None),
        (
            "unknown and required",
            summed(TABLES.into_iter().fold(plain(), |image, at| third(image, at, 8 << 20, 1))),
            Some(ErrorKind::Unsupported),
        ),
        (
            "unknown on another",
            summed(TABLES.into_iter().fold(plain(), |image, at| third(image, at, 3 << 20, 1))),
            Some(ErrorKind::Malformed),
        ),
        ("other copy", summed(third(plain(), TABLES[1], 8 << 20, 0)), Some(ErrorKind::Malformed)),
    ] {
        assert_eq!(refusal(&image), kind, "{what}");
    }
}

#[test]
fn metadata_are_checked() {
    for (what, image, kind) in [
        ("signature", image().put(METADATA, b"x"), ErrorKind::Malformed),
        ("count", image().put(METADATA + 10, b"\xff\xff"), ErrorKind::Malformed),
        ("one missing", image().put(METADATA + 10, b"\x03"), ErrorKind::Malformed),
        ("twice", with_item(VALUES_OF[0].0, 70 << 10, 8, 0), ErrorKind::Malformed),
        ("overlap", with_item(&[9; 16], 64 << 10, 4, 0), ErrorKind::Malformed),
        ("outside", with_item(&[9; 16], u32::MAX - 8, 8, 0), ErrorKind::Malformed),
        ("in the table", with_item(&[9; 16], 0, 8, 0), ErrorKind::Malformed),
        ("unknown and required", with_item(&[9; 16], 70 << 10, 8, 4), ErrorKind::Unsupported),
        ("length", image().le32(ITEMS + 32 + 20, 4), ErrorKind::Malformed),
        ("block 0", image().le32(VALUES, 0), ErrorKind::Malformed),
        ("block odd", image().le32(VALUES, 3 << 20), ErrorKind::Malformed),
        ("block large", image().le32(VALUES, 512 << 20), ErrorKind::Malformed),
        ("size 0", image().le64(VALUES + 8, 0), ErrorKind::Malformed),
        ("size odd", image().le64(VALUES + 8, 1000), ErrorKind::Malformed),
        ("size large", image().le64(VALUES + 8, 65 << 40), ErrorKind::Malformed),
        ("size beyond the table", image().le64(VALUES + 8, 1 << 40), ErrorKind::Malformed),
        ("sector 0", image().le32(VALUES + 16, 0), ErrorKind::Malformed),
        ("sector odd", image().le32(VALUES + 24, 1000), ErrorKind::Malformed),
        ("version", summed(plain().put(HEADERS[1] + 66, b"\x02")), ErrorKind::Unsupported),
        ("log in front", summed(plain().le64(HEADERS[1] + 72, 0)), ErrorKind::Malformed),
        ("log behind the end", summed(plain().le64(HEADERS[1] + 72, 1 << 40)), ErrorKind::Truncated),
        ("identifier only", Bytes(image().0[..64 << 10].to_vec()), ErrorKind::Truncated),
    ] {
        assert_eq!(refusal(&image), Some(kind), "{what}");
    }
    let unknown = with_item(&[9; 16], 70 << 10, 8, 0);
    assert_eq!(refusal(&unknown), None);
}

#[test]
fn blocks_lie_apart_behind_everything_else() {
    let entry = |index: usize, value: u64| image().le64(BLOCKS + 8 * index, value);
    assert_eq!(refusal(&entry(0, 4 << 20 | 6)), None);
    assert_eq!(refusal(&entry(0, 2)), None, "zeros lie nowhere");
    for (what, image) in [
        ("no state", entry(0, 4)),
        ("in front", entry(0, 6)),
        ("in the metadata", entry(1, 2 << 20 | 6)),
        ("behind the end", entry(7, 5 << 20 | 6)),
        ("twice", entry(0, 4 << 20 | 6).le64(BLOCKS + 8, 4 << 20 | 6)),
    ] {
        assert_eq!(refusal(&image), Some(ErrorKind::Malformed), "{what}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn changed_images_never_panic(
        changes in proptest::collection::vec((0usize..6, 4usize..200, any::<u8>()), 0..8),
        cut in 0usize..4 * MIB,
    ) {
        let places = [HEADERS[1], TABLES[0], TABLES[1], METADATA, VALUES, VALUES + 4096];
        let start = child(&[("relative_path", "b")]);
        let image = summed(changes.into_iter().fold(start, |image, (place, at, byte)| image.put(places[place] + at, &[byte])));
        for bytes in [&image.0[..], &image.0[..cut]] {
            let inspection = Inspection::new(Format::Vhdx, bytes.len() as u64).screened();
            prop_assert!(sample::drive(inspection, bytes).1 <= READ_BUDGET);
        }
    }
}
