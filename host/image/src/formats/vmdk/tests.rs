//! VMDK in all its files, built byte by byte.

use proptest::prelude::*;

use crate::error::ErrorKind;
use crate::format::Format;
use crate::formats::Header;
use crate::inspection::Inspection;
use crate::sample::{self, Bytes};
use crate::windows::READ_BUDGET;

const SELF: &str = "RW 2048 SPARSE \"disk.vmdk\"";
const FLAT: &str = "RW 2048 FLAT \"disk-flat.vmdk\" 0";

/// A descriptor of the type, with these lines at its end.
fn text(kind: &str, lines: &[&str]) -> String {
    let lines = lines.join("\n");
    format!(
        "# Disk DescriptorFile\nversion=1\nCID=fffffffe\ncreateType=\"{kind}\"\n\n{lines}\nddb.adapterType = \"ide\"\n"
    )
}

/// 1 MiB in grains of 64 KiB: header, descriptor, copy of the directory with its table, directory with its table.
fn disk(descriptor: &str) -> Bytes {
    Bytes::zeros(64 << 10)
        .put(0, b"KDMV\x01\0\0\0\x03\0\0\0")
        .le64(12, 2048)
        .le64(20, 128)
        .le64(28, 1)
        .le64(36, 20)
        .le32(44, 512)
        .le64(48, 21)
        .le64(56, 26)
        .put(73, b"\n \r\n")
        .put(512, descriptor.as_bytes())
        .le32(21 * 512, 22)
        .le32(26 * 512, 27)
}

fn sample() -> Bytes {
    disk(&text("monolithicSparse", &[SELF]))
}

/// The same as a stream: compressed, with a footer that knows the directory.
fn stream() -> Bytes {
    let image = disk(&text("streamOptimized", &[SELF])).le32(8, 0x3_0001).put(77, b"\x01").le64(48, 0);
    let mut image = image.le64(56, u64::MAX);
    let header = image.0[..512].to_vec();
    image.0.extend([0; 1536]);
    let footer = (64 << 10) + 512;
    image.le32(64 * 1024 + 12, 3).put(footer, &header).le64(footer + 56, 26)
}

fn facts(image: &Bytes) -> Header {
    sample::facts(Format::Vmdk, image).unwrap()
}

/// What a screened inspection for use refuses; none if it does not.
fn refusal(image: &Bytes) -> Option<ErrorKind> {
    let inspection = Inspection::new(Format::Vmdk, image.0.len() as u64).screened();
    sample::drive(inspection, &image.0).0.err().map(|error| error.kind())
}

#[test]
fn a_disk_in_one_file_names_nothing() {
    for (image, subformat) in [(sample(), "monolithicSparse"), (stream(), "streamOptimized")] {
        assert_eq!(refusal(&image), None, "{subformat}");
        let header = facts(&image);
        assert_eq!((header.virtual_size, header.cluster_size), (1 << 20, Some(64 << 10)));
        assert_eq!((header.subformat, header.features.version), (Some(subformat), 1));
        assert!(header.extents.is_empty() && header.backing.is_none());
    }
    let crlf = text("monolithicSparse", &[SELF]).replace('\n', "\r\n");
    assert_eq!(refusal(&disk(&crlf)), None);
}

#[test]
fn other_files_are_facts_that_forbid_use() {
    let flat = text("twoGbMaxExtentFlat", &[FLAT, "RW 8 ZERO", "RDONLY 4 FLAT \"/etc/passwd\" 16"]);
    for image in [Bytes(flat.clone().into_bytes()), disk(&flat), disk(&flat).le64(12, 0)] {
        let header = facts(&image);
        let extents: Vec<_> =
            header.extents.iter().map(|extent| (extent.name.as_str(), extent.kind)).collect();
        assert_eq!(extents, [("disk-flat.vmdk", "FLAT"), ("/etc/passwd", "FLAT")]);
        assert_eq!(refusal(&image), Some(ErrorKind::ReferenceUnsupported));
    }
    assert_eq!(facts(&Bytes(flat.into_bytes())).virtual_size, 2060 * 512);
}

#[test]
fn a_type_that_is_not_known_keeps_its_data_in_other_files() {
    let image = Bytes(text("later", &[FLAT]).into_bytes());
    assert_eq!(
        (facts(&image).subformat, refusal(&image)),
        (Some("other"), Some(ErrorKind::ReferenceUnsupported))
    );
}

#[test]
fn without_a_capacity_even_its_own_name_is_opened() {
    let image = sample().le64(12, 0);
    assert_eq!(facts(&image).extents.len(), 1);
    assert_eq!(refusal(&image), Some(ErrorKind::ReferenceUnsupported));
    let zeros = disk(&text("monolithicSparse", &["RW 2048 ZERO"])).le64(12, 0);
    assert_eq!(refusal(&zeros), Some(ErrorKind::Malformed), "QEMU reads no extent of zeros");
}

#[test]
fn the_parent_is_what_lies_below() {
    let hint = "parentFileNameHint=\"base.vmdk\"";
    let child = disk(&text("monolithicSparse", &["parentCID=12345678", hint, SELF]));
    assert_eq!(facts(&child).backing.unwrap().name, "base.vmdk");
    for (what, lines) in [
        ("no identifier", vec![hint, SELF]),
        ("identifier of none", vec!["parentCID=ffffffff", hint, SELF]),
        ("no name", vec!["parentCID=12345678", SELF]),
        ("no number", vec!["parentCID=xyz", hint, SELF]),
        ("twice", vec!["parentCID=12345678", hint, hint, SELF]),
    ] {
        let image = disk(&text("monolithicSparse", &lines));
        assert_eq!(refusal(&image), Some(ErrorKind::Malformed), "{what}");
    }
}

#[test]
fn what_qemu_would_find_behind_the_descriptor_is_refused() {
    // A descriptor without a NUL byte in its one sector: QEMU reads on, and finds a parent.
    let plain = text("monolithicSparse", &[SELF]);
    let filled = format!("{plain}#{}\n", "x".repeat(512 - plain.len() - 2));
    let image = disk(&filled).le64(36, 1).put(1024, b"parentFileNameHint=\"/etc/passwd\"\n");
    assert_eq!(refusal(&image), Some(ErrorKind::Malformed));
    // An empty hint without quotes: QEMU takes what stands between the next two quotes.
    for hint in ["parentFileNameHint=\nnbd:h:1:exportname=\"\"", "parentFileNameHint=base.vmdk"] {
        let image = disk(&text("monolithicSparse", &[hint, SELF]));
        assert_eq!(refusal(&image), Some(ErrorKind::Malformed), "{hint}");
    }
    let mut ragged = stream();
    ragged.0.extend([0; 256]);
    assert_eq!(refusal(&ragged), Some(ErrorKind::Malformed), "QEMU seeks the footer elsewhere");
}

#[test]
fn what_a_shorter_identifier_left_behind_the_end_means_nothing() {
    let plain = text("monolithicSparse", &[SELF]);
    for left in ["\"\n", "7\"\n", "3647\"\n"] {
        let plain = format!("{plain}\0{left}");
        assert_eq!(refusal(&disk(&plain)), None, "{left:?}");
    }
    assert_eq!(refusal(&disk(&format!("{plain}\x00123456\n"))), Some(ErrorKind::Malformed));
}

#[test]
fn what_two_readers_could_understand_differently_is_refused() {
    let plain = text("monolithicSparse", &[SELF]);
    for (what, text) in [
        ("a key in a comment", format!("# createType=\"custom\"\n{plain}")),
        ("a key in a value", format!("{plain}ddb.comment = \"parentFileNameHint=\\\"/etc/passwd\"\n")),
        ("a key in another case", format!("createtype=\"custom\"\n{plain}")),
        ("a key with a space", plain.replace("createType=", "createType =")),
        ("a key twice", format!("{plain}createType=\"custom\"\n")),
        ("no key", format!("{plain}nonsense\n")),
        ("no type", plain.replace("createType", "type")),
        ("a quote that does not end", plain.replace("Sparse\"\n", "Sparse\n")),
        ("a name that does not end", plain.replace("disk.vmdk\"", "disk.vmdk")),
        ("text behind its end", format!("{plain}\0{FLAT}\n")),
        ("no extents", plain.replace(SELF, "")),
        ("no number", plain.replace("2048", "x")),
        ("too large", plain.replace("2048", "36028797018963968")),
        ("an offset too large", plain.replace(SELF, "RW 1 FLAT \"x\" 36028797018963968")),
        ("no name", plain.replace(SELF, "RW 1 FLAT")),
        ("an empty name", plain.replace("disk.vmdk", "")),
        ("no such kind", plain.replace("RW 2048 SPARSE", "RW 2048 OTHER")),
        ("zeros in a file", plain.replace(SELF, "RW 1 ZERO \"x\"")),
    ] {
        assert_eq!(refusal(&disk(&text)), Some(ErrorKind::Malformed), "{what}");
    }
    assert_eq!(refusal(&Bytes(b"version=\xff\n".to_vec())), Some(ErrorKind::Malformed));
}

#[test]
fn descriptors_are_bounded() {
    let extents = [FLAT; 65];
    assert_eq!(refusal(&Bytes(text("custom", &extents).into_bytes())), Some(ErrorKind::TooComplex));
    let long = Bytes(text("custom", &[FLAT]).into_bytes());
    let long = Bytes([&long.0[..], &[0; 64 << 10]].concat());
    assert_eq!(refusal(&long), Some(ErrorKind::TooComplex));
}

#[test]
fn what_may_be_new_is_unsupported() {
    let plain = text("monolithicSparse", &[SELF]);
    for (what, image) in [
        ("zeros only", Bytes(text("custom", &["RW 8 ZERO"]).into_bytes())),
        ("type", Bytes(text("later", &["RW 8 ZERO"]).into_bytes())),
        ("version of the text", disk(&plain.replace("version=1", "version=9"))),
        ("version of the extent", sample().le32(4, 4)),
        ("compression", stream().put(77, b"\x09").put((64 << 10) + 512 + 77, b"\x09")),
        ("extent of ESX", Bytes::zeros(4096).put(0, b"COWD\x01").le32(12, 2048).le32(16, 1)),
        ("extent of later ESX", Bytes::zeros(4096).put(0, b"\xbe\xba\xfe\xca").le64(16, 8).le64(24, 8)),
    ] {
        assert_eq!(refusal(&image), Some(ErrorKind::Unsupported), "{what}");
    }
    let cowd = Bytes::zeros(4096).put(0, b"COWD\x01").le32(12, 2048).le32(16, 1);
    assert_eq!((facts(&cowd).subformat, facts(&cowd).virtual_size), (Some("vmfsSparse"), 1 << 20));
}

#[test]
fn every_field_of_the_header_is_checked() {
    for (what, image) in [
        ("magic", sample().put(0, b"X")),
        ("version 0", sample().le32(4, 0)),
        ("ends of lines", sample().put(74, b"\n")),
        ("capacity", sample().le64(12, 1 << 55)),
        ("grain 0", sample().le64(20, 0)),
        ("grain odd", sample().le64(20, 129)),
        ("grain large", sample().le64(20, 1 << 40)),
        ("no entries", sample().le32(44, 0)),
        ("many entries", sample().le32(44, u32::MAX)),
        ("descriptor nowhere", sample().le64(28, 0)),
        ("descriptor wraps", sample().le64(28, 1 << 56)),
        ("descriptor empty", sample().le64(36, 0)),
        ("descriptor large", sample().le64(36, 1 << 20)),
        ("descriptor elsewhere", sample().le64(28, 2)),
        ("directory in the header", sample().le64(56, 0)),
        ("directory wraps", sample().le64(56, u64::MAX - 1)),
        ("directory in the descriptor", sample().le64(56, 2)),
        ("compression without flag", sample().put(77, b"\x01")),
        ("flag without compression", sample().le32(8, 0x1_0003)),
        ("a footer that is not there", sample().le64(56, u64::MAX)),
    ] {
        assert_eq!(refusal(&image), Some(ErrorKind::Malformed), "{what}");
    }
    assert_eq!(refusal(&sample().le64(48, 1 << 40)), Some(ErrorKind::Truncated));
    assert_eq!(refusal(&Bytes(sample().0[..40].to_vec())), Some(ErrorKind::Truncated));
    assert_eq!(refusal(&Bytes(sample().0[..512].to_vec())), Some(ErrorKind::Truncated));
    assert!(facts(&sample().put(72, b"\x01")).features.dirty);
}

#[test]
fn a_footer_repeats_the_header() {
    let footer = (64 << 10) + 512;
    for (what, image) in [
        ("marker", stream().le32((64 << 10) + 12, 7)),
        ("end", stream().le32(footer + 512 + 12, 1)),
        ("magic", stream().put(footer, b"X")),
        ("capacity", stream().le64(footer + 12, 4096)),
        ("descriptor", stream().le64(footer + 28, 3)),
        ("another footer", stream().le64(footer + 56, u64::MAX)),
    ] {
        assert_eq!(refusal(&image), Some(ErrorKind::Malformed), "{what}");
    }
}

#[test]
fn a_piece_of_a_disk_has_no_descriptor() {
    let piece = sample().le64(28, 0).le64(36, 0);
    assert_eq!((facts(&piece).subformat, facts(&piece).virtual_size), (None, 1 << 20));
    assert_eq!(refusal(&piece), Some(ErrorKind::Malformed));
}

#[test]
fn tables_that_point_into_metadata_or_out_of_the_image_are_found() {
    for (what, image) in [
        ("table behind the end", sample().le32(26 * 512, 200)),
        ("table in the descriptor", sample().le32(26 * 512, 3)),
        ("grain behind the end", sample().le32(27 * 512, 200)),
        ("grain in the header", sample().le32(27 * 512, 1)),
        ("grain in a table", sample().le32(27 * 512 + 4, 28)),
        ("grain in the directory", sample().le32(27 * 512 + 8, 26)),
    ] {
        assert_eq!(refusal(&image), Some(ErrorKind::Malformed), "{what}");
    }
    assert_eq!(refusal(&sample().le32(27 * 512, 31)), None);
    assert_eq!(refusal(&sample().le32(8, 7).le32(27 * 512, 1)), None, "a grain of zeros");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn changed_images_never_panic(changes in proptest::collection::vec((4usize..1100, any::<u8>()), 0..8), cut in 0usize..65_536) {
        for image in [sample(), stream()] {
            let image = changes.iter().fold(image, |image, (at, byte)| image.put(*at, &[*byte]));
            for bytes in [&image.0[..], &image.0[..cut]] {
                let inspection = Inspection::new(Format::Vmdk, bytes.len() as u64).screened();
                prop_assert!(sample::drive(inspection, bytes).1 <= READ_BUDGET);
            }
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(version=1\n)?([a-zA-Z\"=# ./0-9]{0,30}\n){0,20}") {
        let (header, asked) = sample::inspect(Format::Vmdk, text.as_bytes());
        prop_assert!(asked <= READ_BUDGET);
        if let Ok(header) = header {
            prop_assert!(header.extents.is_empty());
        }
    }
}
