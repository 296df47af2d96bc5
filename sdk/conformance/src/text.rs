//! Text of a driver or of a hypervisor, as a report may show it.

/// Longest text of a report, in characters: enough for a sentence and its place.
const SHOWN_CHARS: usize = 600;

/// The text on one line, its control characters escaped; what is beyond the limit is cut and counted.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::new();
    for letter in text.chars().take(SHOWN_CHARS) {
        if letter.is_control() {
            shown.extend(letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    match text.chars().count().saturating_sub(SHOWN_CHARS) {
        0 => shown,
        more => format!("{shown}… ({more} more characters)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_on_one_line_and_cut() {
        assert_eq!(shown("a\nb\u{1b}[2J"), "a\\nb\\u{1b}[2J");
        let long = shown(&"é".repeat(SHOWN_CHARS + 5));
        assert!(long.ends_with("é… (5 more characters)"), "{long}");
    }
}
