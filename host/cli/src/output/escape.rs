//! Makes text that others wrote safe to show: a driver or a guest must not steer the terminal.

/// Longest text of one message or cell, in characters; what is beyond is cut and counted.
const LONGEST: usize = 16 * 1024;

/// Escapes for one line: nothing in the result moves the cursor, not even a line feed.
pub(crate) fn line(text: &str) -> String {
    escape(text, |_| false)
}

/// Escapes for several lines: line feeds stay, and every further line is indented by `indent`
/// columns, so that no line of the text can pass for one of ours.
pub(crate) fn block(text: &str, indent: usize) -> String {
    let kept = escape(text.trim_end(), |c| matches!(c, '\n' | '\t'));
    kept.replace('\n', &format!("\n{}", " ".repeat(indent)))
}

/// Escapes a document for a terminal: line feeds and tabs stay, nothing is cut or indented.
pub(crate) fn document(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    text.chars().for_each(|c| push(&mut safe, c, matches!(c, '\n' | '\t')));
    safe
}

fn escape(text: &str, keep: impl Fn(char) -> bool) -> String {
    let mut safe = String::with_capacity(text.len().min(LONGEST));
    let mut rest = text.chars();
    rest.by_ref().take(LONGEST).for_each(|c| push(&mut safe, c, keep(c)));
    let cut = rest.count();
    if cut > 0 {
        safe.push_str(&format!("… ({cut} more characters)"));
    }
    safe
}

fn push(safe: &mut String, c: char, keep: bool) {
    match c {
        _ if keep => safe.push(c),
        '\n' => safe.push_str("\\n"),
        '\r' => safe.push_str("\\r"),
        '\t' => safe.push_str("\\t"),
        _ if c.is_control() || is_invisible(c) => safe.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
        _ => safe.push(c),
    }
}

/// Characters that change how their neighbours are shown, or show nothing: marks of direction,
/// joiners, line separators, tags. (`char::is_control` covers C0, DEL and C1.)
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_escapes_all_that_steers_a_terminal() {
        assert_eq!(line("\x1b[2Jgone\u{9b}31m\x07"), "\\u{1b}[2Jgone\\u{9b}31m\\u{7}");
        assert_eq!(line("a\nerror: forged\r\tb"), "a\\nerror: forged\\r\\tb");
        assert_eq!(line("safe\u{202e}lmx.\u{200b}"), "safe\\u{202e}lmx.\\u{200b}");
    }

    #[test]
    fn line_leaves_ordinary_text_alone() {
        for text in ["vm-1", "größe 1 GiB", "日本語", "a\\b 'c' \"d\""] {
            assert_eq!(line(text), text);
        }
    }

    #[test]
    fn line_cuts_floods_and_says_so() {
        let flood = "x".repeat(LONGEST + 7);
        let shown = line(&flood);
        assert!(shown.ends_with("… (7 more characters)"), "{}", &shown[LONGEST - 10..]);
    }

    #[test]
    fn block_indents_so_that_nothing_can_be_forged() {
        assert_eq!(block("first\nhint: run this\n\x1b[1m", 4), "first\n    hint: run this\n    \\u{1b}[1m");
    }

    #[test]
    fn document_keeps_lines_and_length() {
        let text = format!("<a>\n\t{}\x1b</a>\n", "y".repeat(LONGEST));
        assert_eq!(document(&text), text.replace('\x1b', "\\u{1b}"));
    }
}
