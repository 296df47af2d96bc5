//! What the content of an image looks like: every mark that a format leaves, wherever it leaves it.
//!
//! A mark is a hint and not a proof, for whoever writes an image writes its marks. It serves two purposes: to
//! advise an operator, and to refuse an image from elsewhere that is more than one thing at once.

use crate::format::Format;
use crate::windows::{Halt, Windows};

/// Bytes at the start in which nearly all marks stand.
const START_BYTES: u64 = 4096;
/// Where the volume descriptor of an optical disc begins, and its mark behind the first byte.
pub(crate) const OFFSET_VOLUME: u64 = 32 << 10;
pub(crate) const VOLUME_MARK: &[u8] = b"CD001";
/// The last sector, where the marks of a fixed VHD and of an Apple disk image stand.
const TRAILER_BYTES: u64 = 512;
/// A partition table in the first sector: four entries and its signature.
const OFFSET_PARTITIONS: usize = 446;
const PARTITION_BYTES: usize = 16;
const OFFSET_SIGNATURE: usize = 510;

/// Something that a mark stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// A disk image.
    Image(Format),
    /// A LUKS container of this version.
    Luks(u16),
    /// Something around a disk, by name: an archive, a compressed stream.
    Wrapped(&'static str),
    /// A partition table, as a raw disk has it.
    Partitions,
}

/// Where a mark stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the first bytes: what programs look at first.
    Start,
    /// In the volume descriptor of an optical disc.
    Volume,
    /// In the last sector.
    Trailer,
}

impl Content {
    /// The word for it: the one of [`crate::Declared`] where there is one.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Image(Format::Vpc) => "vhd",
            Self::Image(format) => format.qemu_name().unwrap_or(format.xml_name()),
            Self::Luks(1) => "luks",
            Self::Luks(_) => "luks2",
            Self::Wrapped(name) => name,
            Self::Partitions => "partitions",
        }
    }
}

/// A mark that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) content: Content,
    pub(crate) place: Place,
}

/// Offset, bytes that stand there, what they mean. Versions are left to the parsers.
const MARKS: [(usize, &[u8], Content); 27] = [
    (0, b"QED\0", Content::Image(Format::Qed)),
    (0, b"KDMV", Content::Image(Format::Vmdk)),
    (0, b"COWD", Content::Image(Format::Vmdk)),
    (0, b"\xbe\xba\xfe\xca\0\0\0\0", Content::Image(Format::Vmdk)),
    (0, b"conectix", Content::Image(Format::Vpc)),
    (0, b"vhdxfile", Content::Image(Format::Vhdx)),
    (64, b"\x7f\x10\xda\xbe", Content::Image(Format::Vdi)),
    (0, b"OOOM", Content::Image(Format::Cow)),
    (0, b"WithoutFreeSpace", Content::Image(Format::Parallels)),
    (0, b"WithouFreSpacExt", Content::Image(Format::Parallels)),
    (0, b"Bochs Virtual HD Image", Content::Image(Format::Bochs)),
    (0, b"#!/bin/sh\n#V2.0 Format\n", Content::Image(Format::Cloop)),
    (0, b"LUKS\xba\xbe\0\x02", Content::Luks(2)),
    (0, b"shdw", Content::Wrapped("asif")),
    (0, b"\x1f\x8b\x08", Content::Wrapped("gzip")),
    (0, b"BZh", Content::Wrapped("bzip2")),
    (0, b"\xfd7zXZ\0", Content::Wrapped("xz")),
    (0, b"\x28\xb5\x2f\xfd", Content::Wrapped("zstd")),
    (0, b"PK\x03\x04", Content::Wrapped("zip")),
    (0, b"7z\xbc\xaf\x27\x1c", Content::Wrapped("7z")),
    (0, b"\x04\x22\x4d\x18", Content::Wrapped("lz4")),
    (0, b"MSWIM\0\0\0", Content::Wrapped("wim")),
    (0, b"\x3a\xff\x26\xed", Content::Wrapped("android-sparse")),
    (0, b"VMA\0", Content::Wrapped("vma")),
    (0, b"EVF\x09\x0d\x0a\xff\0", Content::Wrapped("ewf")),
    (257, b"ustar", TAR),
    (512, b"EFI PART", Content::Partitions),
];
const DESCRIPTOR: &[u8] = b"# Disk DescriptorFile";
const QCOW_MARK: &[u8] = b"QFI\xfb";
const QCOW_VERSION_1: &[u8] = b"\0\0\0\x01";
const LUKS_MARK: &[u8] = b"LUKS\xba\xbe";
const TAR: Content = Content::Wrapped("tar");
/// Numbers in the header of an archive: offset and length.
const TAR_NUMBERS: [(usize, usize); 5] = [(100, 8), (108, 8), (116, 8), (124, 12), (136, 12)];
const LUKS_2: Content = Content::Luks(2);

/// Every mark in an image, those at its start first.
pub(crate) fn marks(image: &Windows) -> Result<Vec<Mark>, Halt> {
    let start = image.bytes(0, usize::try_from(START_BYTES.min(image.length())).unwrap_or(0))?;
    let mut found = at_start(start);
    if image.length() >= OFFSET_VOLUME.saturating_add(8)
        && image.bytes(OFFSET_VOLUME, 8)?.get(1..6) == Some(VOLUME_MARK)
    {
        found.push(Mark { content: Content::Image(Format::Iso), place: Place::Volume });
    }
    if let Some(offset) = image.before_end(TRAILER_BYTES) {
        let trailer = image.bytes(offset, usize::try_from(TRAILER_BYTES).unwrap_or(0))?;
        for (mark, format) in [(&b"conectix"[..], Format::Vpc), (b"koly", Format::Dmg)] {
            if trailer.starts_with(mark) {
                found.push(Mark { content: Content::Image(format), place: Place::Trailer });
            }
        }
    }
    Ok(found)
}

/// Every mark in the first bytes of an image.
pub(crate) fn at_start(start: &[u8]) -> Vec<Mark> {
    let stands = |offset: usize, mark: &[u8]| start.get(offset..).is_some_and(|rest| rest.starts_with(mark));
    let mut found: Vec<_> = MARKS
        .iter()
        .filter(|(offset, mark, _)| stands(*offset, mark))
        .map(|(_, _, content)| *content)
        .collect();
    if stands(0, QCOW_MARK) {
        let first = stands(QCOW_MARK.len(), QCOW_VERSION_1);
        found.push(Content::Image(if first { Format::Qcow } else { Format::Qcow2 }));
    }
    if stands(0, LUKS_MARK) && !found.contains(&LUKS_2) {
        found.push(Content::Luks(1));
    }
    if is_descriptor(start) {
        found.push(Content::Image(Format::Vmdk));
    }
    if is_archive(start) && !found.contains(&TAR) {
        found.push(TAR);
    }
    if has_partitions(start) && !found.contains(&Content::Partitions) {
        found.push(Content::Partitions);
    }
    found.into_iter().map(|content| Mark { content, place: Place::Start }).collect()
}

/// Whether a text begins as QEMU takes it for a VMDK descriptor: comments and blank lines, then a version.
pub(crate) fn is_descriptor(start: &[u8]) -> bool {
    let blank = |line: &&[u8]| line.starts_with(b"#") || line.iter().all(u8::is_ascii_whitespace);
    let first = start.split(|byte| *byte == b'\n').find(|line| !blank(line));
    let named = start.get(..DESCRIPTOR.len()).is_some_and(|name| name.eq_ignore_ascii_case(DESCRIPTOR));
    named || first.is_some_and(|line| line.starts_with(b"version="))
}

/// Whether the first sector is the header of a tar archive of the time before they had a mark: a name, then
/// numbers in octal digits.
fn is_archive(start: &[u8]) -> bool {
    let number = |field: &[u8]| match field.split_last() {
        Some((0 | b' ', digits)) => digits.iter().all(|digit| matches!(digit, b'0'..=b'7' | b' ')),
        _ => false,
    };
    start.first().is_some_and(|first| *first != 0)
        && TAR_NUMBERS.iter().all(|(offset, length)| {
            start.get(*offset..).and_then(|rest| rest.get(..*length)).is_some_and(number)
        })
}

/// Whether the first sector ends in a partition table with an entry in use, which boot sectors of file systems
/// do not have.
fn has_partitions(start: &[u8]) -> bool {
    if start.get(OFFSET_SIGNATURE..OFFSET_SIGNATURE + 2) != Some(b"\x55\xaa") {
        return false;
    }
    let table = start.get(OFFSET_PARTITIONS..OFFSET_SIGNATURE).unwrap_or_default();
    let entries = || table.chunks_exact(PARTITION_BYTES);
    entries().all(|entry| matches!(entry, [0 | 0x80, ..]))
        && entries().any(|entry| matches!(entry, [_, _, _, _, kind, ..] if *kind != 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Bytes;

    fn contents(image: &Bytes) -> Vec<Content> {
        at_start(&image.0).into_iter().map(|mark| mark.content).collect()
    }

    #[test]
    fn every_mark_at_the_start_is_found() {
        for (offset, mark, content) in MARKS {
            assert_eq!(contents(&Bytes::zeros(1024).put(offset, mark)), [content]);
        }
        let qcow = Bytes::zeros(512).put(0, QCOW_MARK);
        assert_eq!(contents(&qcow.clone().be32(4, 1)), [Content::Image(Format::Qcow)]);
        assert_eq!(contents(&qcow.be32(4, 9)), [Content::Image(Format::Qcow2)]);
        assert_eq!(contents(&Bytes::zeros(512).put(0, LUKS_MARK)), [Content::Luks(1)]);
    }

    #[test]
    fn a_descriptor_is_found_behind_comments() {
        for text in ["# Disk DescriptorFile\nCID=1\n", "# a\n\r\n#b\nversion=1\n", "version=3\r\n"] {
            assert_eq!(contents(&Bytes(text.into())), [Content::Image(Format::Vmdk)], "{text}");
        }
        assert_eq!(contents(&Bytes("# a\nname=1\nversion=1\n".into())), []);
    }

    #[test]
    fn an_archive_without_a_mark_is_found_by_its_numbers() {
        let old = Bytes::zeros(512).put(0, b"disk.img").put(100, b"0000644 0001750 0001750 ");
        let old = old.put(124, b"00004000000 13372416243 ");
        assert_eq!(contents(&old), [TAR]);
        assert_eq!(contents(&old.clone().put(257, b"ustar")), [TAR]);
        assert_eq!(contents(&old.put(130, b"x")), []);
    }

    #[test]
    fn a_partition_table_is_told_from_a_boot_sector() {
        let sector = Bytes::zeros(512).put(510, b"\x55\xaa");
        assert_eq!(contents(&sector), []);
        assert_eq!(contents(&sector.clone().put(450, b"\x83")), [Content::Partitions]);
        assert_eq!(contents(&sector.put(450, b"\x83").put(462, b"x")), []);
    }

    #[test]
    fn marks_far_from_the_start_are_found() {
        let mut reading = crate::windows::Reading::new(40 << 10);
        let image = Bytes::zeros(40 << 10).put(0, QCOW_MARK).put(32_769, VOLUME_MARK).put(40_448, b"koly");
        let found = loop {
            match reading.run(marks).unwrap() {
                crate::windows::Ran::Done(found) => break found,
                crate::windows::Ran::Need(range) => {
                    let from = usize::try_from(range.offset).unwrap();
                    reading.supply(image.0[from..from + range.length].to_vec()).unwrap();
                }
            }
        };
        let places: Vec<_> = found.iter().map(|mark| mark.place).collect();
        assert_eq!(places, [Place::Start, Place::Volume, Place::Trailer]);
    }
}
