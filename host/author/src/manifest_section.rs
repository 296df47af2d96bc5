//! The driver's manifest as a custom section: found in a core module, put where a host reads it first.

use wasmparser::{Parser, Payload};

use crate::error::{AuthorError, Kind};

/// The name of the section.
const SECTION: &str = "hostler:manifest";
/// The id of a custom section.
const CUSTOM_SECTION_ID: u8 = 0;

/// Finds the manifest of a core module; none when it has none.
///
/// # Errors
/// [`Kind::Module`] when it is damaged, [`Kind::Manifest`] when there is more than one.
pub(crate) fn find(core: &[u8]) -> Result<Option<&[u8]>, AuthorError> {
    let mut found = None;
    for payload in Parser::new(0).parse_all(core) {
        let payload = payload.map_err(|error| {
            AuthorError::new(Kind::Module, format!("the core module is damaged: {}", error.message()))
        })?;
        if let Payload::CustomSection(section) = payload
            && section.name() == SECTION
            && found.replace(section.data()).is_some()
        {
            return Err(AuthorError::new(
                Kind::Manifest,
                format!("the core module has more than one section '{SECTION}'"),
            )
            .hint("call hostler_sdk::driver! once in a driver"));
        }
    }
    Ok(found)
}

/// Appends the manifest as a custom section at the top level.
pub(crate) fn append(component: &mut Vec<u8>, data: &[u8]) {
    let mut body = Vec::with_capacity(data.len() + SECTION.len() + 1);
    push_leb128(&mut body, SECTION.len());
    body.extend_from_slice(SECTION.as_bytes());
    body.extend_from_slice(data);
    component.push(CUSTOM_SECTION_ID);
    push_leb128(component, body.len());
    component.extend_from_slice(&body);
}

/// Appends a number as unsigned LEB128.
fn push_leb128(out: &mut Vec<u8>, mut number: usize) {
    loop {
        let low = u8::try_from(number & 0x7f).unwrap_or(0x7f);
        number >>= 7;
        if number == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The header of an empty core module.
    const EMPTY: &[u8] = b"\0asm\x01\0\0\0";

    fn with(sections: &[&[u8]]) -> Vec<u8> {
        let mut module = EMPTY.to_vec();
        sections.iter().for_each(|data| append(&mut module, data));
        module
    }

    #[test]
    fn appended_manifest_is_found_again() {
        let long = format!(r#"{{"name":"{}"}}"#, "x".repeat(500));
        assert_eq!(find(&with(&[long.as_bytes()])).unwrap(), Some(long.as_bytes()));
        assert_eq!(find(EMPTY).unwrap(), None);
    }

    #[test]
    fn double_manifests_and_damaged_modules_are_refused() {
        assert_eq!(find(&with(&[b"{}", b"{}"])).unwrap_err().kind, Kind::Manifest);
        let torn = &with(&[b"{}"])[..12];
        assert_eq!(find(torn).unwrap_err().kind, Kind::Module);
    }

    #[test]
    fn leb128_of_known_numbers() {
        for (number, bytes) in
            [(0, &[0_u8][..]), (127, &[127]), (128, &[0x80, 1]), (624_485, &[0xe5, 0x8e, 0x26])]
        {
            let mut out = Vec::new();
            push_leb128(&mut out, number);
            assert_eq!(out, bytes);
        }
    }
}
