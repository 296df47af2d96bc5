//! Telling a format by content. For advice to an operator only; a chain never uses it.

use crate::format::Format;

/// How many bytes from the start of an image [`recognise`] looks at.
pub const RECOGNISE_BYTES: usize = 512;

/// Offset, bytes that stand there, format.
const MAGICS: [(usize, &[u8], Format); 13] = [
    (0, b"QFI\xfb\0\0\0\x01", Format::Qcow),
    (0, b"QFI\xfb\0\0\0\x02", Format::Qcow2),
    (0, b"QFI\xfb\0\0\0\x03", Format::Qcow2),
    (0, b"QED\0", Format::Qed),
    (0, b"KDMV", Format::Vmdk),
    (0, b"COWD", Format::Vmdk),
    (0, b"# Disk DescriptorFile", Format::Vmdk),
    (0, b"conectix", Format::Vpc),
    (0, b"vhdxfile", Format::Vhdx),
    (64, b"\x7f\x10\xda\xbe", Format::Vdi),
    (0, b"WithoutFreeSpace", Format::Parallels),
    (0, b"WithouFreSpacExt", Format::Parallels),
    (0, b"Bochs Virtual HD Image", Format::Bochs),
];

/// The format that the first bytes of an image look like; `None` when they look like none, as raw data does.
///
/// The answer is a suggestion: a guest that owns a raw disk can write any header into it.
#[must_use]
pub fn recognise(start: &[u8]) -> Option<Format> {
    MAGICS
        .iter()
        .find(|(offset, magic, _)| start.get(*offset..).is_some_and(|rest| rest.starts_with(magic)))
        .map(|(_, _, format)| *format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_magic_is_within_the_window_and_recognised() {
        for (offset, magic, format) in MAGICS {
            assert!(offset + magic.len() <= RECOGNISE_BYTES);
            let mut start = vec![0; offset];
            start.extend_from_slice(magic);
            assert_eq!(recognise(&start), Some(format));
        }
    }

    #[test]
    fn data_is_nothing_in_particular() {
        assert_eq!(recognise(&[]), None);
        assert_eq!(recognise(&[0; 512]), None);
        assert_eq!(recognise(b"QFI\xfb\0\0\0\x09"), None);
    }
}
