//! Text that came from a driver or from below it: escaped and cut, so that it cannot forge or flood.

/// Mark at the end of a text that was cut.
const CUT: &str = "…";

/// The text with everything made visible that a terminal or a log could take for something else, cut at
/// `limit` bytes.
pub(crate) fn escape(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len().min(limit));
    for character in text.chars() {
        let shown =
            if is_hidden(character) { character.escape_unicode().to_string() } else { character.into() };
        if out.len() + shown.len() > limit {
            out.push_str(CUT);
            break;
        }
        out.push_str(&shown);
    }
    out
}

/// Control characters, and those that turn the direction of writing round or take no room.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// The text without surrounding white space, each inner run of white space made one blank, then escaped.
pub(crate) fn sentence(text: &str, limit: usize) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    escape(&words.join(" "), limit)
}

/// Whether the text is lower-case words joined by one of `joints`, at most `limit` bytes.
pub(crate) fn is_word(text: &str, joints: &[char], limit: usize) -> bool {
    text.len() <= limit
        && text.split(joints).all(|word| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_characters_become_visible() {
        assert_eq!(escape("a\nb\u{1b}[2J\u{202e}c", 100), "a\\u{a}b\\u{1b}[2J\\u{202e}c");
        assert_eq!(escape("grüße", 100), "grüße");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(escape("ääää", 5), "ää…");
        assert!(escape(&"\n".repeat(5000), 4096).len() <= 4096 + CUT.len());
    }

    #[test]
    fn sentence_takes_one_line() {
        assert_eq!(sentence(" a\n  b\t", 100), "a b");
    }

    #[test]
    fn words_are_lower_case_and_joined() {
        for (text, good) in [
            ("tray-moved", true),
            ("a", true),
            ("", false),
            ("a--b", false),
            ("A", false),
            ("a_b", false),
            ("-a", false),
        ] {
            assert_eq!(is_word(text, &['-'], 64), good, "{text}");
        }
        assert!(!is_word(&"a".repeat(65), &['-'], 64));
    }
}
