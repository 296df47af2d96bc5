//! The footer of a stream: written last, it says where the directory is and repeats the header.

use super::sparse::{AT_END, HEADER_BYTES, MAGIC, Sparse};
use crate::windows::{Halt, Windows, malformed};

/// A marker, the copy of the header, and the marker of the end of the stream.
const FOOTER_BYTES: u64 = 3 * HEADER_BYTES;
/// Where a marker says how many bytes of data follow it, and what it marks.
const OFFSET_SIZE: u64 = 8;
const OFFSET_KIND: u64 = 12;
const KIND_FOOTER: u32 = 3;
const KIND_END: u32 = 0;

/// The directory's sector, by a footer that agrees with the header in everything else.
pub(super) fn directory(image: &Windows, header: &Sparse) -> Result<u64, Halt> {
    if !image.length().is_multiple_of(HEADER_BYTES) {
        // QEMU looks for the footer from the end of the last whole sector, rounded up.
        return Err(malformed(0, "the header refers to a footer, but the image is not whole sectors"));
    }
    let Some(start) = image.before_end(FOOTER_BYTES).filter(|start| *start >= HEADER_BYTES) else {
        return Err(malformed(0, "the header refers to a footer, but the image is too short for one"));
    };
    let copy = start.saturating_add(HEADER_BYTES);
    check_marker(image, start, KIND_FOOTER)?;
    check_marker(image, copy.saturating_add(HEADER_BYTES), KIND_END)?;
    if image.bytes(copy, MAGIC.len())? != MAGIC {
        return Err(malformed(copy, "the footer is no copy of the header"));
    }
    let footer = Sparse::at(image, copy)?;
    let directory = footer.directory;
    if directory == AT_END {
        return Err(malformed(copy, "the footer refers to a footer"));
    }
    if !footer.repeats(header) {
        return Err(malformed(copy, "the footer says something else than the header"));
    }
    Ok(directory)
}

fn check_marker(image: &Windows, at: u64, kind: u32) -> Result<(), Halt> {
    let found =
        (image.u32_le(at.saturating_add(OFFSET_SIZE))?, image.u32_le(at.saturating_add(OFFSET_KIND))?);
    if found == (0, kind) {
        return Ok(());
    }
    Err(malformed(
        at,
        format!("the header refers to a footer, but there is no marker of the kind {kind} for it"),
    ))
}
