//! References and escaping: between what a document says and what it means.

/// Why a piece of text cannot be decoded, and how many bytes into it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadText {
    pub(super) offset: usize,
    pub(super) message: String,
}

fn bad(offset: usize, message: impl Into<String>) -> BadText {
    BadText { offset, message: message.into() }
}

/// Whether XML 1.0 allows this character in a document.
pub(super) fn is_allowed(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// Text content: line ends become `\n`, references their character.
pub(super) fn decode_text(raw: &str) -> Result<String, BadText> {
    if let Some(offset) = raw.find("]]>") {
        return Err(bad(offset, "text may not contain ']]>'"));
    }
    decode(raw, |character| character)
}

/// An attribute value: white space becomes a space, references their character.
pub(super) fn decode_attribute(raw: &str) -> Result<String, BadText> {
    if let Some(offset) = raw.find('<') {
        return Err(bad(offset, "an attribute value may not contain '<'; write '&lt;'"));
    }
    decode(raw, |character| if matches!(character, '\n' | '\t') { ' ' } else { character })
}

/// The text of a CDATA section or any other place where references mean nothing.
pub(super) fn decode_verbatim(raw: &str) -> Result<String, BadText> {
    let mut out = String::with_capacity(raw.len());
    push_plain(&mut out, raw, 0, |character| character)?;
    Ok(out)
}

fn decode(raw: &str, map: fn(char) -> char) -> Result<String, BadText> {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('&') {
        let offset = raw.len() - rest.len();
        let (plain, tail) = rest.split_at(at);
        push_plain(&mut out, plain, offset, map)?;
        let offset = offset + at;
        let Some((name, after)) = tail.strip_prefix('&').and_then(|tail| tail.split_once(';')) else {
            return Err(bad(
                offset,
                "'&' begins a reference that has no ';'; write '&amp;' for the character",
            ));
        };
        out.push(reference(name).ok_or_else(|| {
            let shown: String = name.chars().take(20).collect();
            bad(
                offset,
                format!(
                    "unknown reference '&{shown};'; only amp, lt, gt, quot, apos and character numbers exist"
                ),
            )
        })?);
        rest = after;
    }
    push_plain(&mut out, rest, raw.len() - rest.len(), map)?;
    Ok(out)
}

/// Copies text without references; `\r\n` and a lone `\r` are line ends.
fn push_plain(out: &mut String, plain: &str, offset: usize, map: fn(char) -> char) -> Result<(), BadText> {
    let mut characters = plain.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        if !is_allowed(character) {
            let code = u32::from(character);
            return Err(bad(offset + at, format!("character U+{code:04X} is not allowed in XML")));
        }
        if character != '\r' {
            out.push(map(character));
        } else if characters.peek().is_none_or(|(_, next)| *next != '\n') {
            out.push(map('\n'));
        }
    }
    Ok(())
}

fn reference(name: &str) -> Option<char> {
    match name {
        "amp" => return Some('&'),
        "lt" => return Some('<'),
        "gt" => return Some('>'),
        "quot" => return Some('"'),
        "apos" => return Some('\''),
        _ => {}
    }
    let number = name.strip_prefix('#')?;
    let (digits, radix) = number.strip_prefix('x').map_or((number, 10), |hex| (hex, 16));
    // from_str_radix would take a sign, which XML does not.
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    char::from_u32(u32::from_str_radix(digits, radix).ok()?).filter(|character| is_allowed(*character))
}

/// A value as it is written between single or double quotes. Characters that XML cannot carry at all, such as
/// U+0001, stay as they are: a document with them is refused.
pub fn escape_attribute(value: &str) -> String {
    escape(value, true)
}

/// A text as it is written between tags; see [`escape_attribute`] for characters that XML cannot carry.
pub fn escape_text(value: &str) -> String {
    escape(value, false)
}

fn escape(value: &str, attribute: bool) -> String {
    let mut out = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' if attribute => out.push_str("&apos;"),
            '"' if attribute => out.push_str("&quot;"),
            '\r' => out.push_str("&#13;"),
            '\n' if attribute => out.push_str("&#10;"),
            '\t' if attribute => out.push_str("&#9;"),
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_and_line_ends_decode() {
        assert_eq!(decode_text("a&lt;&#65;&#x42;\r\n\rb").unwrap(), "a<AB\n\nb");
        assert_eq!(decode_attribute("a\tb\r\nc&#10;").unwrap(), "a b c\n");
    }

    #[test]
    fn bad_references_say_where() {
        assert_eq!(decode_text("ab&nbsp;").unwrap_err().offset, 2);
        assert_eq!(decode_text("ab & c").unwrap_err().offset, 3);
        for text in ["&#0;", "&#+65;", "&#xD800;", "&#;", "&#x110000;", "\u{1}", "a]]>b"] {
            assert!(decode_text(text).is_err(), "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_escaped_decodes_to_itself(value in "[^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\u{FFFE}\\u{FFFF}]{0,40}") {
            proptest::prop_assert_eq!(&decode_attribute(&escape_attribute(&value)).unwrap(), &value);
            proptest::prop_assert_eq!(&decode_text(&escape_text(&value)).unwrap(), &value);
        }
    }
}
