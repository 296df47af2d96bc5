//! A Rust source, split lexically: code without comments and literals, comments without code.
//!
//! The rules look for words and braces only, so a lexer is enough; a parser would add minutes of building.

use std::ops::Range;

/// A Rust source file.
#[derive(Debug)]
pub struct Source {
    /// Where it is, relative to the root.
    pub path: String,
    /// The text as it is.
    pub text: String,
    /// The text with comments and the insides of literals made blank; as long as `text`.
    pub code: String,
    /// The text with everything but comments made blank; as long as `text`.
    pub comments: String,
}

/// A function found in a source.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The line of its `fn`, from 1.
    pub line: usize,
    /// How many lines it has, from `fn` to the closing brace.
    pub lines: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Comment,
    Literal,
}

impl Source {
    /// Splits a text.
    #[must_use]
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let kinds = classify(text.as_bytes());
        let keep = |wanted: Kind| -> String {
            let byte =
                |(byte, kind): (&u8, &Kind)| if *kind == wanted || *byte == b'\n' { *byte } else { b' ' };
            let bytes: Vec<u8> = text.as_bytes().iter().zip(&kinds).map(byte).collect();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let (code, comments) = (keep(Kind::Code), keep(Kind::Comment));
        Self { path: path.into(), text, code, comments }
    }

    /// The inline test modules: byte ranges from `#[cfg(test)]` to the closing brace.
    #[must_use]
    pub fn test_modules(&self) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        for (start, attribute) in self.code.match_indices("#[cfg(test)]") {
            let after = start + attribute.len();
            let rest = self.code.get(after..).unwrap_or_default();
            let is_module = rest.trim_start().starts_with("mod ");
            if let (true, Some(open)) = (is_module, rest.find(['{', ';'])) {
                found.push(start..self.closing_brace(after + open));
            }
        }
        found
    }

    /// Whether all of the file is there for tests only.
    #[must_use]
    pub fn is_test_file(&self) -> bool {
        self.path.starts_with("tests/all/")
            || self.path.contains("/tests/")
            || self.path.ends_with("/tests.rs")
    }

    /// The code that only tests run, as ranges of bytes.
    #[must_use]
    pub fn test_code(&self) -> Vec<Range<usize>> {
        let all: Range<usize> = 0..self.code.len();
        if self.is_test_file() { vec![all] } else { self.test_modules() }
    }

    /// How many lines the file has without its inline test modules.
    #[must_use]
    pub fn production_lines(&self) -> usize {
        let tests: usize = self
            .test_modules()
            .into_iter()
            .filter_map(|range| Some(self.code.get(range)?.lines().count()))
            .sum();
        self.text.lines().count().saturating_sub(tests)
    }

    /// Every function with a body.
    #[must_use]
    pub fn functions(&self) -> Vec<Function> {
        let mut found = Vec::new();
        for at in word_positions(&self.code, "fn") {
            let rest = self.code.get(at + 2..).unwrap_or_default();
            let name: String =
                rest.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let Some(open) = body_start(rest) else { continue };
            if name.is_empty() {
                continue; // the type of a function pointer
            }
            let end = self.closing_brace(at + 2 + open);
            let lines = self.code.get(at..end).map_or(0, |body| body.lines().count());
            found.push(Function { name, line: self.line_of(at), lines });
        }
        found
    }

    /// The line of a byte, from 1.
    #[must_use]
    pub fn line_of(&self, at: usize) -> usize {
        self.text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
    }

    /// One past the brace that closes the one at `open`; `open` itself when there is none.
    fn closing_brace(&self, open: usize) -> usize {
        let mut depth = 0_usize;
        for (offset, byte) in self.code.bytes().enumerate().skip(open) {
            match byte {
                b'{' => depth += 1,
                b'}' if depth <= 1 => return offset + 1,
                b'}' => depth -= 1,
                _ if depth == 0 => return offset + 1,
                _ => {}
            }
        }
        self.code.len()
    }
}

/// Where a word stands alone in code.
#[must_use]
pub fn word_positions(code: &str, word: &str) -> Vec<usize> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let alone = |at: &usize| {
        let before = code.get(..*at).and_then(|text| text.chars().next_back());
        let after = code.get(at + word.len()..).and_then(|text| text.chars().next());
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    };
    code.match_indices(word).map(|(at, _)| at).filter(alone).collect()
}

/// The brace that opens a function's body; none for a declaration.
fn body_start(signature: &str) -> Option<usize> {
    let mut depth = 0_i32;
    for (at, c) in signature.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ';' if depth == 0 => return None,
            '{' if depth == 0 => return Some(at),
            _ => {}
        }
        if depth < 0 {
            return None;
        }
    }
    None
}

/// Says of every byte what it belongs to. The quotes of a literal count as its inside.
fn classify(text: &[u8]) -> Vec<Kind> {
    let mut kinds = vec![Kind::Code; text.len()];
    let mut at = 0;
    while at < text.len() {
        let rest = text.get(at..).unwrap_or_default();
        let (kind, length) = next_piece(rest, at.checked_sub(1).and_then(|before| text.get(before)).copied());
        let end = text.len().min(at + length.max(1));
        if let Some(piece) = kinds.get_mut(at..end) {
            piece.fill(kind);
        }
        at = end;
    }
    kinds
}

fn next_piece(rest: &[u8], before: Option<u8>) -> (Kind, usize) {
    let in_word = before.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    match rest {
        [b'/', b'/', ..] => (Kind::Comment, rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len())),
        [b'/', b'*', ..] => (Kind::Comment, block_comment(rest)),
        [b'"', ..] => (Kind::Literal, quoted(rest, b'"')),
        [b'r', b'"' | b'#', ..] if !in_word => raw_string(rest, 1),
        [b'b' | b'c', b'r', b'"' | b'#', ..] if !in_word => raw_string(rest, 2),
        [b'\'', b'\\', ..] => (Kind::Literal, quoted(rest, b'\'')),
        [b'\'', ..] => character(rest),
        _ => (Kind::Code, 1),
    }
}

/// The length of a comment that may hold others.
fn block_comment(rest: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(pair) = rest.get(at..at + 2) {
        match pair {
            b"/*" => depth += 1,
            b"*/" if depth == 1 => return at + 2,
            b"*/" => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
    }
    rest.len()
}

/// The length of a literal with escapes, quotes included.
fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while let Some(byte) = rest.get(at) {
        match *byte {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// A raw string after a prefix of `prefix` bytes; a raw identifier is code.
fn raw_string(rest: &[u8], prefix: usize) -> (Kind, usize) {
    let hashes = rest.iter().skip(prefix).take_while(|byte| **byte == b'#').count();
    if rest.get(prefix + hashes) != Some(&b'"') {
        return (Kind::Code, prefix + hashes);
    }
    let end: Vec<u8> = [vec![b'"'], vec![b'#'; hashes]].concat();
    let body = prefix + hashes + 1;
    let inside = rest.get(body..).unwrap_or_default();
    let length = inside.windows(end.len()).position(|window| window == end);
    (Kind::Literal, length.map_or(rest.len(), |length| body + length + end.len()))
}

/// A character literal without escapes; a lifetime is code.
fn character(rest: &[u8]) -> (Kind, usize) {
    // One character of UTF-8 is at most four bytes, so the closing quote is the second to fifth byte.
    let longest = rest.get(..6.min(rest.len())).unwrap_or_default();
    let Some(close) = longest.iter().skip(2).position(|byte| *byte == b'\'').map(|at| at + 2) else {
        return (Kind::Code, 1);
    };
    let one =
        std::str::from_utf8(rest.get(1..close).unwrap_or_default()).is_ok_and(|c| c.chars().count() == 1);
    if one { (Kind::Literal, close + 1) } else { (Kind::Code, 1) }
}

#[cfg(test)]
mod tests {
    use super::{Function, Source};

    #[test]
    fn comments_and_literals_are_told_from_code() {
        let text = "a /* x /* y */ z */ b // c\n\"d // \\\" e\" r#\"f \" g\"# 'h' '\\'' i<'j> 'é' k";
        let source = Source::new("x.rs", text);
        assert_eq!(source.code.split_whitespace().collect::<Vec<_>>(), ["a", "b", "i<'j>", "k"]);
        assert_eq!(source.comments.split_whitespace().collect::<Vec<_>>().concat(), "/*x/*y*/z*///c");
        assert_eq!(source.code.len(), text.len());
    }

    #[test]
    fn functions_are_measured_from_fn_to_brace() {
        let text =
            "fn a() {\n  \"}\";\n}\ntrait T { fn b(&self); }\nfn c(x: fn() -> u8, y: [u8; 3]) -> u8 { 1 }\n";
        let found = Source::new("x.rs", text).functions();
        let expected = [("a", 1, 3), ("c", 5, 1)];
        let expected = expected.map(|(name, line, lines)| Function { name: name.to_owned(), line, lines });
        assert_eq!(found, expected);
    }

    #[test]
    fn inline_tests_do_not_count_as_production() {
        let text = "//! x\nfn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n";
        let source = Source::new("host/x/src/a.rs", text);
        assert_eq!(source.production_lines(), 2);
        assert!(!source.is_test_file() && Source::new("host/x/tests/a.rs", "").is_test_file());
    }
}
