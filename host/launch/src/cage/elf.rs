//! What a program or library says it needs: its loader, its libraries and where it wants them looked for.
//!
//! The layout is the System V ABI's for 64-bit little-endian objects (`elf.h`). Files are the distribution's own,
//! and nothing in them is trusted for a size all the same.

use std::fs::File;
use std::io::{self, ErrorKind};

/// Most program headers that are looked at; real files have a dozen.
const HEADERS_MAX: usize = 128;
/// Most bytes of the dynamic section; real ones have a few hundred entries of 16 bytes.
const DYNAMIC_MAX_BYTES: usize = 64 << 10;
/// Longest name or search path, in bytes.
const TEXT_MAX_BYTES: usize = 4096;
/// Bytes that are read first: the header, and the program headers behind it.
const FIRST_BYTES: usize = 4096;

const HEADER_BYTES: usize = 64;
const SEGMENT_BYTES: usize = 56;
const ENTRY_BYTES: usize = 16;
const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_RPATH: u64 = 15;
const DT_RUNPATH: u64 = 29;

/// What one file needs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// The loader, for a program.
    pub(crate) interpreter: Option<String>,
    /// Libraries by name.
    pub(crate) libraries: Vec<String>,
    /// Directories to look in first, colon-separated, as they stand there.
    pub(crate) search: Vec<String>,
}

/// Bytes at places.
pub(crate) trait Bytes {
    /// Reads some bytes at `offset`; none at the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
}

impl Bytes for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, buffer, offset)
    }
}

struct Segment {
    kind: u32,
    offset: u64,
    address: u64,
    size: u64,
}

/// Reads what a file needs; nothing when it is no ELF object at all (a script, data).
///
/// # Errors
/// When it is one of another class or byte order, or contradicts itself.
pub(crate) fn read(file: &impl Bytes) -> io::Result<Option<Needs>> {
    let first = take(file, 0, FIRST_BYTES)?;
    if first.get(..4) != Some(b"\x7fELF") {
        return Ok(None);
    }
    // Class 2 is 64 bits, data 1 is little-endian.
    if first.get(4..6) != Some(&[2, 1]) || first.len() < HEADER_BYTES {
        return Err(bad("only 64-bit little-endian objects are understood"));
    }
    let segments = segments(file, &first)?;
    let mut needs = Needs::default();
    if let Some(segment) = segments.iter().find(|segment| segment.kind == PT_INTERP) {
        needs.interpreter = Some(text(file, segment.offset)?);
    }
    if let Some(segment) = segments.iter().find(|segment| segment.kind == PT_DYNAMIC) {
        let size = usize::try_from(segment.size).unwrap_or(usize::MAX).min(DYNAMIC_MAX_BYTES);
        read_dynamic(file, &take(file, segment.offset, size)?, &segments, &mut needs)?;
    }
    Ok(Some(needs))
}

fn segments(file: &impl Bytes, header: &[u8]) -> io::Result<Vec<Segment>> {
    let (start, count) = (long(header, 32)?, usize::from(short(header, 56)?));
    if usize::from(short(header, 54)?) != SEGMENT_BYTES || count > HEADERS_MAX {
        return Err(bad("its program headers are of an unknown size or too many"));
    }
    let table = take(file, start, count * SEGMENT_BYTES)?;
    table
        .chunks_exact(SEGMENT_BYTES)
        .map(|entry| {
            let kind = u32::from_le_bytes(array(entry, 0)?);
            Ok(Segment { kind, offset: long(entry, 8)?, address: long(entry, 16)?, size: long(entry, 32)? })
        })
        .collect()
}

fn read_dynamic(file: &impl Bytes, table: &[u8], segments: &[Segment], needs: &mut Needs) -> io::Result<()> {
    let mut entries = Vec::new();
    for entry in table.chunks_exact(ENTRY_BYTES) {
        entries.push((long(entry, 0)?, long(entry, 8)?));
    }
    let Some((_, address)) = entries.iter().find(|(tag, _)| *tag == DT_STRTAB) else { return Ok(()) };
    let strings = segments
        .iter()
        .filter(|segment| segment.kind == PT_LOAD)
        .find_map(|segment| {
            let inside = address.checked_sub(segment.address)?;
            (inside < segment.size).then(|| segment.offset.checked_add(inside)).flatten()
        })
        .ok_or_else(|| bad("its string table is in no segment"))?;
    for (tag, value) in entries {
        let into = match tag {
            DT_NEEDED => &mut needs.libraries,
            DT_RPATH | DT_RUNPATH => &mut needs.search,
            _ => continue,
        };
        let at = strings.checked_add(value).ok_or_else(|| bad("a name is beyond all files"))?;
        into.push(text(file, at)?);
    }
    Ok(())
}

/// Up to `count` bytes; fewer at the end of the file.
fn take(file: &impl Bytes, offset: u64, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset.saturating_add(filled as u64)) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

fn text(file: &impl Bytes, offset: u64) -> io::Result<String> {
    let mut length = 128;
    loop {
        let bytes = take(file, offset, length)?;
        if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
            let text = bytes.get(..end).unwrap_or_default();
            return String::from_utf8(text.to_vec()).map_err(|_| bad("a name in it is no text"));
        }
        if bytes.len() < length || length >= TEXT_MAX_BYTES {
            return Err(bad("a name in it has no end"));
        }
        length *= 2;
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> io::Result<[u8; N]> {
    let part = bytes.get(at..).and_then(|rest| rest.first_chunk());
    part.copied().ok_or_else(|| bad("it ends too early"))
}

fn long(bytes: &[u8], at: usize) -> io::Result<u64> {
    Ok(u64::from_le_bytes(array(bytes, at)?))
}

fn short(bytes: &[u8], at: usize) -> io::Result<u16> {
    Ok(u16::from_le_bytes(array(bytes, at)?))
}

fn bad(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Memory(Vec<u8>);

    impl Bytes for Memory {
        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            let rest =
                usize::try_from(offset).ok().and_then(|offset| self.0.get(offset..)).unwrap_or_default();
            let count = rest.len().min(buffer.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            Ok(count)
        }
    }

    fn own() -> Vec<u8> {
        std::fs::read(std::env::current_exe().unwrap()).unwrap()
    }

    #[test]
    fn own_program_names_its_loader_and_the_c_library() {
        let needs = read(&File::open(std::env::current_exe().unwrap()).unwrap()).unwrap().unwrap();
        assert!(needs.interpreter.as_ref().is_some_and(|path| path.starts_with('/')), "{needs:?}");
        assert!(needs.libraries.iter().any(|name| name.starts_with("libc.so")), "{needs:?}");
    }

    #[test]
    fn scripts_need_nothing_and_other_classes_are_refused() {
        assert_eq!(read(&Memory(b"#!/bin/sh\n".to_vec())).unwrap(), None);
        assert_eq!(read(&Memory(Vec::new())).unwrap(), None);
        let mut small = own()[..64].to_vec();
        small[4] = 1;
        assert!(read(&Memory(small)).is_err());
    }

    #[test]
    fn cut_off_files_are_refused_or_short_and_never_more() {
        let whole = own();
        for length in [5, 63, 64, 100, 1000, 5000] {
            drop(read(&Memory(whole[..length].to_vec())));
        }
        assert!(read(&Memory(whole[..70].to_vec())).is_ok_and(|needs| needs.unwrap() == Needs::default()));
    }

    proptest! {
        #[test]
        fn damaged_headers_end_in_an_answer(places in proptest::collection::vec((0_usize..4096, any::<u8>()), 1..40)) {
            let mut bytes = own();
            bytes.truncate(64 << 10);
            for (at, value) in places {
                bytes[at] = value;
            }
            if let Ok(Some(needs)) = read(&Memory(bytes)) {
                prop_assert!(needs.libraries.len() <= DYNAMIC_MAX_BYTES / ENTRY_BYTES);
            }
        }
    }
}
