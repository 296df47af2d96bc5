//! References in images: never a file by mistake, and no secret in what is shown.

use hostler_image::{MAX_REFERENCE_BYTES, Parsed, Reference, parse_reference, redact};

use crate::generators::reference::{ReferenceCase, SECRET};

/// Most characters that are shown of a reference: 256 of its own, each escaped to at most 10, and the mark
/// that something was cut.
const SHOWN_MAX: usize = 256 * 10 + 1;

/// Asserts what holds of any reference.
///
/// # Panics
/// When a promise is broken.
pub fn check(case: &ReferenceCase<'_>) {
    let text = case.text();
    let shown = redact(&text);
    safe(&shown);
    let parsed = parse_reference(&text);
    if case.has_secret() {
        assert!(!shown.contains(SECRET), "{text:?} is shown as {shown:?}");
        assert!(!format!("{parsed:?}").contains(SECRET), "{text:?} is {parsed:?}");
    }
    match parsed {
        Parsed::Usable(reference) => usable(&text, &reference),
        Parsed::Unsupported { why, redacted } => {
            assert_eq!(redacted, shown);
            safe(&why.explanation());
        }
        Parsed::Malformed { why, redacted } => {
            assert_eq!(redacted, shown);
            safe(&why);
        }
    }
}

/// Only what QEMU, too, takes for the name of a file.
fn usable(text: &str, reference: &Reference) {
    assert!((1..=MAX_REFERENCE_BYTES).contains(&text.len()) && !text.chars().any(char::is_control));
    let protocol = text.find(':').filter(|colon| !text[..*colon].contains('/')).map(|colon| &text[..colon]);
    assert!(matches!(protocol, None | Some("file")), "{text:?} is taken for a file");
    let name = if protocol.is_some() { &text["file:".len()..] } else { text };
    let (path, absolute) = match reference {
        Reference::Absolute(path) => (path, true),
        Reference::Relative(path) => (path, false),
    };
    assert_eq!(path.as_os_str(), name, "the name is changed");
    assert_eq!(absolute, name.starts_with('/'));
    assert!(!name.ends_with('/'), "a directory is taken for a file");
}

pub(super) fn safe(shown: &str) {
    let overrides = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    assert!(!shown.chars().any(|c| c.is_control() || overrides(c)), "{shown:?}");
    assert!(shown.chars().count() <= SHOWN_MAX, "{} characters are shown", shown.chars().count());
}
