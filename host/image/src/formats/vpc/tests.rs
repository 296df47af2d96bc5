//! VHD of every kind, built byte by byte.

use proptest::prelude::*;

use crate::error::ErrorKind;
use crate::format::Format;
use crate::formats::Header;
use crate::inspection::Inspection;
use crate::sample::{self, Bytes};
use crate::windows::READ_BUDGET;

const BLOCK: u32 = 2 << 20;
const TABLE: usize = 1536;
const END: usize = 2048;

/// What a footer says; `put` writes it with its checksum.
#[derive(Clone, Copy)]
struct Footer {
    kind: u32,
    size: u64,
    creator: &'static [u8],
    cylinders: u8,
}

const FOOTER: Footer = Footer { kind: 3, size: 1 << 20, creator: b"win ", cylinders: 30 };

impl Footer {
    fn put(self, image: Bytes, at: usize) -> Bytes {
        let image = image
            .put(at, b"conectix")
            .be32(at + 12, 0x1_0000)
            .be64(at + 16, 512)
            .put(at + 28, self.creator)
            .be64(at + 48, self.size)
            .put(at + 56, &[0, self.cylinders, 4, 17])
            .be32(at + 60, self.kind);
        summed(image, at, 512, at + 64)
    }

    /// A growing disk with one block, which is not there yet.
    fn dynamic(self) -> Bytes {
        let image = self.put(self.put(Bytes::zeros(END + 512), 0), END).put(TABLE, &[0xff; 512]);
        let image = image.put(512, b"cxsparse").be64(528, TABLE as u64).be32(536, 0x1_0000);
        headed(image.be32(540, 1).be32(544, BLOCK))
    }
}

#[test]
fn what_versions_of_qemu_read_differently_is_refused() {
    let odd = Footer { creator: b"wa\0\0", ..FOOTER };
    let inspection = |image: &Bytes| Inspection::new(Format::Vpc, image.0.len() as u64);
    let image = odd.dynamic();
    assert_eq!(sample::drive(inspection(&image), &image.0).0.unwrap_err().kind(), ErrorKind::Malformed);
}

/// The same bytes with the sum of a structure put right.
fn summed(image: Bytes, at: usize, length: usize, sum_at: usize) -> Bytes {
    let image = image.be32(sum_at, 0);
    let sum = image.0[at..at + length].iter().fold(0_u32, |sum, byte| sum + u32::from(*byte));
    image.be32(sum_at, !sum)
}

fn headed(image: Bytes) -> Bytes {
    summed(image, 512, 1024, 548)
}

fn facts(image: &Bytes) -> Header {
    sample::facts(Format::Vpc, image).unwrap()
}

/// What a screened inspection for use refuses; none if it does not.
fn refusal(image: &Bytes) -> Option<ErrorKind> {
    let inspection = Inspection::new(Format::Vpc, image.0.len() as u64).screened();
    sample::drive(inspection, &image.0).0.err().map(|error| error.kind())
}

#[test]
fn a_growing_disk_is_read() {
    let image = FOOTER.dynamic();
    assert_eq!(refusal(&image), None);
    let header = facts(&image);
    assert_eq!((header.virtual_size, header.cluster_size), (1 << 20, Some(u64::from(BLOCK))));
    assert_eq!((header.subformat, header.backing), (Some("dynamic"), None));
}

#[test]
fn a_disk_of_fixed_size_has_its_footer_at_the_end() {
    let fixed = Footer { kind: 2, ..FOOTER };
    let image = fixed.put(Bytes(vec![7; (1 << 20) + 512]), 1 << 20);
    assert_eq!(refusal(&image), None);
    assert_eq!((facts(&image).virtual_size, facts(&image).subformat), (1 << 20, Some("fixed")));
    let short = fixed.put(Bytes(vec![7; 8192]), 8192 - 512);
    assert_eq!(refusal(&short), Some(ErrorKind::Truncated));
    let growing = FOOTER.put(Bytes(vec![7; 8192]), 8192 - 512);
    assert_eq!(refusal(&growing), Some(ErrorKind::Malformed));
    assert_eq!(refusal(&fixed.dynamic()), Some(ErrorKind::Malformed));
    assert_eq!(refusal(&Bytes(vec![7; 8192])), Some(ErrorKind::Malformed));
}

#[test]
fn whose_disk_it_is_decides_whether_its_geometry_is_its_size() {
    let geometry = 30 * 4 * 17 * 512;
    for (creator, size) in [(b"win ", 1 << 20), (b"vpc ", geometry), (b"qemu", geometry), (b"qem2", 1 << 20)]
    {
        assert_eq!(facts(&Footer { creator, ..FOOTER }.dynamic()).virtual_size, size);
    }
    let large = Footer { creator: b"vpc ", cylinders: 200, ..FOOTER };
    assert_eq!(refusal(&large.dynamic()), Some(ErrorKind::Malformed), "larger than its table");
}

#[test]
fn a_parent_is_a_fact_that_forbids_use() {
    let child = Footer { kind: 4, ..FOOTER }.dynamic();
    let name: Vec<u8> = "base.vhd".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let named = headed(child.clone().put(512 + 64, &name));
    assert_eq!(facts(&named).backing.unwrap().name, "base.vhd");
    assert_eq!(refusal(&named), Some(ErrorKind::Unsupported));
    let name: Vec<u8> = "..\\b".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let located = child.clone().put(512 + 576, b"W2ru").be32(512 + 584, 8).be64(512 + 592, 1800);
    let located = headed(located).put(1800, &name);
    assert_eq!(facts(&located).backing.unwrap().name, "..\\b");
    assert_eq!((facts(&child).backing, facts(&child).subformat), (None, Some("differencing")));
    assert_eq!(refusal(&child), Some(ErrorKind::Unsupported));
    let nowhere = child.put(512 + 576, b"W2ku").be32(512 + 584, 8).be64(512 + 592, u64::MAX);
    assert_eq!(refusal(&headed(nowhere)), Some(ErrorKind::Truncated));
}

#[test]
fn every_field_is_checked() {
    let image = || FOOTER.dynamic();
    let footer = |change: fn(Footer) -> Footer| change(FOOTER).dynamic();
    for (what, image, kind) in [
        ("sum", image().be32(64, 1), ErrorKind::Malformed),
        ("sum of the header", image().be32(548, 1), ErrorKind::Malformed),
        ("kind", footer(|footer| Footer { kind: 5, ..footer }), ErrorKind::Malformed),
        ("size 0", footer(|footer| Footer { size: 0, ..footer }), ErrorKind::Malformed),
        ("size", footer(|footer| Footer { size: 1 << 63, ..footer }), ErrorKind::Malformed),
        ("size beyond the table", footer(|footer| Footer { size: 1 << 40, ..footer }), ErrorKind::Malformed),
        ("no header", headed(image().put(512, b"X")), ErrorKind::Malformed),
        ("header in the footer", summed(image().be64(16, 8), 0, 512, 64), ErrorKind::Malformed),
        ("header behind the end", summed(image().be64(16, 1 << 40), 0, 512, 64), ErrorKind::Truncated),
        ("block 0", headed(image().be32(544, 0)), ErrorKind::Malformed),
        ("block odd", headed(image().be32(544, 3 << 20)), ErrorKind::Malformed),
        ("block large", headed(image().be32(544, 1 << 31)), ErrorKind::Malformed),
        ("entries", headed(image().be32(540, u32::MAX)), ErrorKind::Truncated),
        ("table in the header", headed(image().be64(528, 1024)), ErrorKind::Malformed),
        ("table behind the end", headed(image().be64(528, 1 << 40)), ErrorKind::Truncated),
        ("table wraps", headed(image().be64(528, u64::MAX)), ErrorKind::Truncated),
        ("version", summed(image().be32(12, 0x2_0000), 0, 512, 64), ErrorKind::Unsupported),
        ("version of the header", headed(image().be32(536, 0x2_0000)), ErrorKind::Unsupported),
        ("short", Bytes(image().0[..300].to_vec()), ErrorKind::Truncated),
    ] {
        assert_eq!(refusal(&image), Some(kind), "{what}");
    }
}

#[test]
fn both_footers_and_the_table_are_screened() {
    let other = Footer { size: 512, ..FOOTER }.put(FOOTER.dynamic(), END);
    assert_eq!(refusal(&other), Some(ErrorKind::Malformed), "another size");
    assert_eq!(refusal(&FOOTER.dynamic().put(END, b"X")), Some(ErrorKind::Malformed), "no footer");
    for sector in [0, 1, 3, 4] {
        assert_eq!(refusal(&FOOTER.dynamic().be32(TABLE, sector)), Some(ErrorKind::Malformed), "{sector}");
    }
    let block = BLOCK as usize + 512;
    let mut used = FOOTER.dynamic();
    used.0.resize(END + block + 512, 0);
    let used = FOOTER.put(used, END + block).be32(TABLE, 4);
    assert_eq!(refusal(&used), None);
    let twice = headed(used.be32(540, 2)).be32(TABLE + 4, 4);
    assert_eq!(refusal(&twice), Some(ErrorKind::Malformed), "a block for two places");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn changed_images_never_panic(changes in proptest::collection::vec((8usize..1600, any::<u8>()), 0..8), cut in 0usize..2560) {
        let child = Footer { kind: 4, ..FOOTER }.dynamic();
        let image = changes.into_iter().fold(child, |image, (at, byte)| image.put(at, &[byte]));
        let image = headed(summed(image, 0, 512, 64));
        for bytes in [&image.0[..], &image.0[..cut]] {
            let inspection = Inspection::new(Format::Vpc, bytes.len() as u64).screened();
            prop_assert!(sample::drive(inspection, bytes).1 <= READ_BUDGET);
        }
    }
}
