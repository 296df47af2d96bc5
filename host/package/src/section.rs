//! Finds a custom section at the top level of a component, before anything compiles or validates it.

/// First bytes of every WebAssembly binary.
const MAGIC: &[u8] = b"\0asm";
/// Version and layer of a component, after the magic.
const COMPONENT: &[u8] = &[0x0d, 0, 1, 0];
/// Version and layer of a core module.
const MODULE: &[u8] = &[1, 0, 0, 0];
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
    Err(format!("the component has more than {SECTIONS} sections"))
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
        let (id, rest) = self.0.split_first()?;
        self.0 = rest;
        let length = self.number()?;
        Some((*id, self.take(length)?))
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
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

        #[test]
        fn any_bytes_after_the_header_are_handled(tail in prop::collection::vec(any::<u8>(), 0..200)) {
            let bytes = [EMPTY, &tail].concat();
            if let Ok(content) = find(&bytes, "m") {
                prop_assert!(content.len() < bytes.len());
            }
        }
    }
}
