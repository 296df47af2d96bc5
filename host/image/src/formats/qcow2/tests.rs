//! Tests of the qcow2 parser: each rule broken alone, real features accepted, and no byte sequence that
//! makes it panic or read without bound.

use proptest::prelude::*;

use super::*;
use crate::error::{ErrorKind, ImageError};
use crate::format::Format;
use crate::sample::{self, CLUSTER, HEADER_LENGTH, Sample};
use crate::windows::READ_BUDGET;

fn inspect(bytes: &[u8]) -> (Result<Header, ImageError>, u64) {
    sample::inspect(Format::Qcow2, bytes)
}

fn header(sample: &Sample) -> Header {
    inspect(&sample.bytes).0.unwrap()
}

fn refusal(sample: &Sample) -> (ErrorKind, String) {
    let error = inspect(&sample.bytes).0.unwrap_err();
    (error.kind(), error.to_string())
}

#[test]
fn a_plain_image_is_read_in_one_page() {
    let (result, asked) = inspect(&Sample::new().bytes);
    let header = result.unwrap();
    assert_eq!((header.virtual_size, header.cluster_size), (1 << 20, Some(65_536)));
    assert_eq!((header.backing, header.data_file, header.features.version), (None, None, 3));
    assert_eq!(asked, 4096);
}

#[test]
fn version_2_has_the_same_fields() {
    let header = header(&Sample::v2().backing("base.img", Some("raw")));
    assert_eq!(header.features.version, 2);
    let backing = header.backing.unwrap();
    assert_eq!((backing.name.as_str(), backing.format), ("base.img", RecordedFormat::Known(Format::Raw)));
}

#[test]
fn the_recorded_format_is_known_unknown_or_absent() {
    let of = |format| header(&Sample::new().backing("b", format)).backing.unwrap().format;
    assert_eq!(of(Some("vhdx")), RecordedFormat::Known(Format::Vhdx));
    assert_eq!(of(Some("file")), RecordedFormat::Unknown("file".to_owned()));
    assert_eq!(of(None), RecordedFormat::Absent);
}

#[test]
fn features_are_reported() {
    let sample = Sample::new().with64(72, 0b1_0011).with64(80, 1).with32(100, 112);
    let header_of = header(&sample);
    assert_eq!(header_of.compat, Some("1.1"));
    let features = header_of.features;
    assert_eq!((features.bits.incompatible, features.bits.compatible), (0b1_0011, 1));
    assert!(features.dirty && features.corrupt && features.extended_l2 && features.lazy_refcounts);
    let zstd = Sample::new().with64(72, 8).with32(100, 112).with32(104, 0x0100_0000);
    assert_eq!(header(&zstd).features.compression, crate::formats::Compression::Zstd);
}

#[test]
fn a_data_file_needs_its_bit_and_its_name() {
    let record = header(&Sample::new().data_file("data.raw")).data_file.unwrap();
    assert_eq!((record.name.as_str(), record.raw), ("data.raw", false));
    assert_eq!(refusal(&Sample::new().with64(72, 4)).0, ErrorKind::Malformed);
    assert_eq!(refusal(&Sample::new().data_file("d").with64(72, 0)).0, ErrorKind::Malformed);
    assert_eq!(refusal(&Sample::new().data_file("")).0, ErrorKind::Malformed);
    assert_eq!(refusal(&Sample::new().with64(88, 2)).0, ErrorKind::Malformed);
}

/// An image whose clusters are encrypted by the container behind its tables.
fn encrypted() -> Sample {
    let container = sample::luks1().0;
    let pointer = [4 * CLUSTER as u64, container.len() as u64].map(u64::to_be_bytes).concat();
    let mut image = Sample::new().with32(32, 2).extension(0x0537_BE77, &pointer);
    image.bytes.extend(container);
    image
}

#[test]
fn luks_needs_its_header() {
    assert_eq!(refusal(&Sample::new().with32(32, 2)).0, ErrorKind::Malformed);
    match header(&encrypted()).encryption {
        Some(Encryption::Luks(luks)) => assert_eq!((luks.version, luks.active_slots), (1, 1)),
        other => panic!("{other:?}"),
    }
    let mut broken = encrypted();
    broken.put(4 * CLUSTER + 208, &[0; 4]);
    assert!(refusal(&broken).1.contains("key slot"), "{:?}", refusal(&broken));
    let beyond = encrypted().with64(HEADER_LENGTH + 8, 1 << 40);
    assert_eq!(refusal(&beyond).0, ErrorKind::Malformed);
    assert_eq!(refusal(&Sample::new().with32(32, 1)).0, ErrorKind::Unsupported);
}

#[test]
fn every_field_is_checked() {
    let malformed = [
        ("magic", Sample::new().with32(0, 0)),
        ("cluster bits too small", Sample::new().with32(20, 8)),
        ("cluster bits shift out", Sample::new().with32(20, 80)),
        ("size zero", Sample::new().with64(24, 0)),
        ("size negative", Sample::new().with64(24, 1 << 63)),
        ("L1 too small", Sample::new().with64(24, 1 << 40)),
        ("L1 too large", Sample::new().with32(36, (4 << 20) + 1)),
        ("L1 not aligned", Sample::new().with64(40, 65_537)),
        ("L1 in the header", Sample::new().with64(40, 0)),
        ("refcount table at 0", Sample::new().with64(48, 0)),
        ("no refcount clusters", Sample::new().with32(56, 0)),
        ("refcount clusters", Sample::new().with32(56, u32::MAX)),
        ("refcount order", Sample::new().with32(96, 7)),
        ("header length", Sample::new().with32(100, 103)),
        ("header length over cluster", Sample::new().with32(100, 65_544)),
        ("snapshots", Sample::new().with32(60, 65_537)),
        ("version of another format", Sample::new().with32(4, 1)),
        ("no version at all", Sample::new().with32(4, u32::MAX)),
        ("broken and unknown", Sample::new().with64(72, u64::MAX)),
        ("bitmaps without extension", Sample::new().with64(88, 1)),
    ];
    for (what, sample) in malformed {
        assert_eq!(refusal(&sample).0, ErrorKind::Malformed, "{what}");
    }
    let beyond = Sample::new().with64(40, 1 << 32);
    assert_eq!(refusal(&beyond).0, ErrorKind::Truncated);
    for (what, sample) in [
        ("version", Sample::new().with32(4, 4)),
        ("bit 5", Sample::new().with64(72, 32)),
        ("crypt", Sample::new().with32(32, 3)),
    ] {
        assert_eq!(refusal(&sample).0, ErrorKind::Unsupported, "{what}");
    }
}

#[test]
fn backing_names_stay_in_their_place() {
    let named = || Sample::new().backing("base.img", Some("raw"));
    for (what, sample) in [
        ("long", named().with32(16, 1024)),
        ("empty", named().with32(16, 0)),
        ("no offset", named().with64(8, 0)),
        ("in the header", named().with64(8, 16)),
        ("outside the cluster", named().with64(8, 65_535)),
        ("wraps", named().with64(8, u64::MAX - 4)),
        ("NUL", Sample::new().backing("a\0b", Some("raw"))),
        ("two formats", Sample::new().extension(0xE279_2ACA, b"raw").backing("b", Some("qcow2"))),
        ("long format", Sample::new().backing("b", Some("sixteen-letters!"))),
        ("NUL in format", Sample::new().backing("b", Some("raw\0x"))),
    ] {
        assert_eq!(refusal(&sample).0, ErrorKind::Malformed, "{what}");
    }
    let mut latin = named();
    let at = usize::try_from(u64::from_be_bytes(latin.bytes[8..16].try_into().unwrap())).unwrap();
    latin.put(at, &[0xe4]);
    assert!(refusal(&latin).1.contains("UTF-8"));
}

#[test]
fn a_name_far_into_a_large_cluster_is_found() {
    let mut sample = Sample::new().extension(0xE279_2ACA, b"qcow2");
    sample.put(60_000, b"far.qcow2");
    let header = header(&sample.with64(8, 60_000).with32(16, 9));
    assert_eq!(header.backing.unwrap().name, "far.qcow2");
}

#[test]
fn secrets_in_names_do_not_reach_debug_output() {
    let header = header(&Sample::new().backing("https://u:hunter2@h/x", Some("raw")));
    assert!(header.backing.as_ref().unwrap().name.contains("hunter2"));
    assert!(!format!("{header:?}").contains("hunter2"));
}

#[test]
fn extensions_are_bounded() {
    let mut many = Sample::new();
    for _ in 0..65 {
        many = many.extension(0x1234_5678, b"");
    }
    assert!(refusal(&many).1.contains("64 header extensions"));
    let long = Sample::new().extension(0x1234_5678, b"x").with32(HEADER_LENGTH + 4, u32::MAX);
    assert!(refusal(&long).1.contains("past its area"));
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let whole = Sample::new().backing("base.img", Some("raw")).bytes;
    // The last cluster holds the L1 table of one entry: 8 bytes are enough.
    for length in (0..300).chain((0..3 * CLUSTER + 8).step_by(1000)) {
        let error = inspect(&whole[..length]).0.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Truncated, "{length}");
    }
    inspect(&whole[..3 * CLUSTER + 8]).0.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn arbitrary_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..2048), v3 in any::<bool>()) {
        for (byte, magic) in bytes.iter_mut().zip([b'Q', b'F', b'I', 0xfb, 0, 0, 0, 2 + u8::from(v3)]) {
            *byte = magic;
        }
        let (_, asked) = inspect(&bytes);
        prop_assert!(asked <= READ_BUDGET);
    }

    #[test]
    fn mutated_headers_never_panic_or_read_without_bound(
        changes in proptest::collection::vec((0usize..256, any::<u8>()), 1..6),
        cluster_bits in 9u32..=21,
    ) {
        let mut sample = Sample::new()
            .extension(0x6803_F857, &[7; 48])
            .backing("base.img", Some("qcow2"))
            .with32(20, cluster_bits);
        for (offset, value) in changes {
            sample.put(offset, &[value]);
        }
        let (result, asked) = inspect(&sample.bytes);
        prop_assert!(asked <= READ_BUDGET);
        if let Ok(header) = result {
            prop_assert!(header.virtual_size > 0);
            prop_assert!(header.backing.is_none_or(|backing| !backing.name.contains('\0')));
        }
    }
}
