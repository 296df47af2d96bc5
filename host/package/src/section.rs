//! Finds a custom section at the top level of a component, before anything compiles or validates it.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

/// First bytes of every WebAssembly binary.
const MAGIC: &[u8] = b"\0asm";
/// Version and layer of a component, after the magic.
const COMPONENT: &[u8] = &[0x0d, 0, 1, 0];
/// Version and layer of a core module.
const MODULE: &[u8] = &[1, 0, 0, 0];
/// Bytes of all that.
const HEADER_BYTES: u64 = 8;
/// Most bytes that a section begins with: which it is, and its length.
const SECTION_HEAD_BYTES: u64 = 6;
/// Identifier of a custom section.
const CUSTOM: u8 = 0;
/// Sections that are looked at: a component of one driver has about 40.
const SECTIONS: usize = 10_000;

/// The content of the one custom section with this name.
///
/// # Errors
/// One sentence that says in what way the bytes are not such a component.
pub(crate) fn find<'a>(bytes: &'a [u8], name: &str) -> Result<&'a [u8], String> {
    let mut rest = Bytes(after_header(bytes)?);
    let mut found = None;
    for _ in 0..SECTIONS {
        if rest.0.is_empty() {
            return found.ok_or_else(|| format!("the component has no section '{name}', so it is no driver"));
        }
        let (id, content) =
            rest.section().ok_or("the component is damaged: a section ends behind its end")?;
        if id != CUSTOM {
            continue;
        }
        let (title, content) =
            Bytes(content).named().ok_or("the component is damaged: a section has no name")?;
        if title == name.as_bytes() && found.replace(content).is_some() {
            return Err(format!("the component has more than one section '{name}'"));
        }
    }
    Err(too_many())
}

/// As [`find`], of a file of so many bytes, of which only what it asks for is read: what sections begin with, and custom ones.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn find_in(file: &File, length: u64, name: &str) -> io::Result<Result<Vec<u8>, String>> {
    Ok(skim(file, length)?.and_then(|skimmed| find(&skimmed, name).map(<[u8]>::to_vec)))
}

/// What is in a file beside its other sections, one of which is only left in where it does not end within the file.
fn skim(file: &File, length: u64) -> io::Result<Result<Vec<u8>, String>> {
    let (mut skimmed, mut at) = (read_at(file, 0..HEADER_BYTES.min(length))?, HEADER_BYTES);
    for _ in 0..SECTIONS {
        if at >= length {
            return Ok(Ok(skimmed));
        }
        let begins = read_at(file, at..length.min(at + SECTION_HEAD_BYTES))?;
        let mut rest = Bytes(&begins);
        let end = rest.head().and_then(|(_, content)| {
            let head = begins.len().checked_sub(rest.0.len())?;
            at.checked_add(u64::try_from(head.checked_add(content)?).ok()?)
        });
        match (begins.first(), end.filter(|end| *end <= length)) {
            (Some(&CUSTOM), Some(end)) => skimmed.extend(read_at(file, at..end)?),
            (_, Some(_)) => {}
            (_, None) => skimmed.extend(begins),
        }
        at = end.unwrap_or(length);
    }
    Ok(Err(too_many()))
}

fn read_at(file: &File, place: Range<u64>) -> io::Result<Vec<u8>> {
    let length = place.end.saturating_sub(place.start);
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, place.start)?;
    Ok(bytes)
}

fn too_many() -> String {
    format!("the component has more than {SECTIONS} sections")
}

fn after_header(bytes: &[u8]) -> Result<&[u8], String> {
    let rest = bytes.strip_prefix(MAGIC).ok_or("the file is not WebAssembly")?;
    if rest.starts_with(MODULE) {
        return Err("the file is a core module, not a component".to_owned());
    }
    rest.strip_prefix(COMPONENT)
        .ok_or_else(|| "the file is a component of another version of the format".to_owned())
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn section(&mut self) -> Option<(u8, &'a [u8])> {
        let (id, length) = self.head()?;
        Some((id, self.take(length)?))
    }

    /// What a section begins with: which it is, and how long its content.
    fn head(&mut self) -> Option<(u8, usize)> {
        let (id, rest) = self.0.split_first()?;
        self.0 = rest;
        Some((*id, self.number()?))
    }

    fn named(mut self) -> Option<(&'a [u8], &'a [u8])> {
        let length = self.number()?;
        Some((self.take(length)?, self.0))
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// An unsigned LEB128 number of at most 32 bits.
    fn number(&mut self) -> Option<usize> {
        let mut number = 0_u64;
        for shift in (0..35).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(number).ok().and_then(|number| usize::try_from(number).ok());
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    fn with(sections: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes = EMPTY.to_vec();
        for (name, content) in sections {
            let body = [&[u8::try_from(name.len()).unwrap()], name.as_bytes(), content].concat();
            // A length of two bytes, as encoders write it that reserve room.
            let length = u8::try_from(body.len()).unwrap();
            bytes.extend_from_slice(&[CUSTOM, length & 0x7f | 0x80, length >> 7]);
            bytes.extend_from_slice(&body);
        }
        bytes
    }

    #[test]
    fn section_is_found_among_others() {
        let bytes = with(&[("name", b"x"), ("hostler:manifest", b"{}"), ("producers", b"")]);
        assert_eq!(find(&bytes, "hostler:manifest").unwrap(), b"{}");
    }

    /// What is found in a file with these bytes.
    fn in_file(bytes: &[u8], name: &str) -> Result<Vec<u8>, String> {
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, bytes).unwrap();
        find_in(&file, bytes.len() as u64, name).unwrap()
    }

    #[test]
    fn other_sections_of_a_file_are_not_read_and_change_nothing() {
        let mut bytes = with(&[("name", b"x")]);
        bytes.extend_from_slice(&[1, 0x80, 0x80, 4]);
        bytes.resize(bytes.len() + (1 << 16), 0xff);
        bytes.extend_from_slice(&with(&[("hostler:manifest", b"{}"), ("producers", b"")])[EMPTY.len()..]);
        assert_eq!(find(&bytes, "hostler:manifest").unwrap(), b"{}");
        assert_eq!(in_file(&bytes, "hostler:manifest").unwrap(), b"{}");
        bytes.truncate(1 << 15);
        assert_eq!(in_file(&bytes, "m").unwrap_err(), find(&bytes, "m").unwrap_err());
    }

    #[test]
    fn what_is_no_such_component_is_told_apart() {
        let two = with(&[("m", b"1"), ("m", b"2")]);
        let mut torn = with(&[("m", b"12345")]);
        torn.pop();
        for (bytes, reason) in [
            (&b"#!/bin/sh"[..], "not WebAssembly"),
            (b"\0asm\x01\0\0\0", "core module"),
            (b"\0asm\x0e\0\x01\0", "another version"),
            (EMPTY, "no section 'm'"),
            (&two, "more than one"),
            (&torn, "damaged"),
        ] {
            let error = find(bytes, "m").unwrap_err();
            assert!(error.contains(reason), "{error}");
            assert_eq!(in_file(bytes, "m").unwrap_err(), error);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

        #[test]
        fn any_bytes_after_the_header_are_handled(tail in prop::collection::vec(any::<u8>(), 0..200)) {
            let bytes = [EMPTY, &tail].concat();
            let found = find(&bytes, "m");
            if let Ok(content) = found {
                prop_assert!(content.len() < bytes.len());
            }
            prop_assert_eq!(in_file(&bytes, "m"), found.map(<[u8]>::to_vec));
        }
    }
}
