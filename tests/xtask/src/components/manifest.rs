//! The driver's manifest: a custom section, moved to where it can be read before anything is compiled.

use anyhow::{Context, Result, bail};
use wasmparser::{Parser, Payload};

/// The name of the section.
const SECTION: &str = "hostler:manifest";
/// The id of a custom section.
const CUSTOM_SECTION_ID: u8 = 0;

/// Finds the one manifest of a core module.
///
/// # Errors
/// When there is none, more than one, or it is not a JSON object.
pub(super) fn find(core: &[u8]) -> Result<&[u8]> {
    let mut found = None;
    for payload in Parser::new(0).parse_all(core) {
        if let Payload::CustomSection(section) = payload?
            && section.name() == SECTION
            && found.replace(section.data()).is_some()
        {
            bail!("has more than one {SECTION} section");
        }
    }
    let Some(data) = found else { bail!("has no {SECTION} section: the driver declares no manifest") };
    let value: serde_json::Value =
        serde_json::from_slice(data).with_context(|| format!("{SECTION} is not JSON"))?;
    if !value.is_object() {
        bail!("{SECTION} is not a JSON object");
    }
    Ok(data)
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
    use super::{append, find, push_leb128};

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
        assert_eq!(find(&with(&[long.as_bytes()])).unwrap(), long.as_bytes());
    }

    #[test]
    fn missing_double_and_malformed_manifests_are_refused() {
        for (sections, reason) in [
            (&[][..], "no hostler:manifest"),
            (&[&b"{}"[..], b"{}"], "more than one"),
            (&[&b"{"[..]], "not JSON"),
            (&[&b"[]"[..]], "not a JSON object"),
        ] {
            let error = format!("{:#}", find(&with(sections)).unwrap_err());
            assert!(error.contains(reason), "{error}");
        }
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
