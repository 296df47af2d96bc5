//! Lines out of a stream of bytes, bounded.

/// Gathers bytes and gives whole lines back, without their end (`\n` or `\r\n`).
#[derive(Debug)]
pub(crate) struct Lines {
    bytes: Vec<u8>,
    /// Up to here there is no line end: no byte is looked at twice.
    searched: usize,
    max: usize,
}

/// A line exceeds the limit; the stream cannot be used further.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Capacity kept between lines, so that one large answer does not stay in memory.
const KEEP_BYTES: usize = 64 << 10;

impl Lines {
    /// Lines of at most `max` bytes.
    pub(crate) fn new(max: usize) -> Self {
        Self { bytes: Vec::new(), searched: 0, max }
    }

    /// Adds what was read.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether there is nothing, not even a part of a line.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The next whole line, if one is there.
    pub(crate) fn pop(&mut self) -> Result<Option<Vec<u8>>, TooLong> {
        let unseen = self.bytes.get(self.searched..).unwrap_or_default();
        let Some(at) = unseen.iter().position(|byte| *byte == b'\n') else {
            self.searched = self.bytes.len();
            return if self.bytes.len() > self.max { Err(TooLong) } else { Ok(None) };
        };
        let end = self.searched + at;
        if end > self.max {
            return Err(TooLong);
        }
        let rest = self.bytes.split_off(end + 1);
        let mut line = std::mem::replace(&mut self.bytes, rest);
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        self.searched = 0;
        if self.bytes.is_empty() {
            self.bytes.shrink_to(KEEP_BYTES);
        }
        Ok(Some(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn line_over_the_limit_is_refused_with_and_without_end() {
        let mut lines = Lines::new(4);
        lines.push(b"12345");
        assert_eq!(lines.pop(), Err(TooLong));
        let mut lines = Lines::new(4);
        lines.push(b"1234\r\n12345\n");
        assert_eq!(lines.pop(), Err(TooLong));
        let mut lines = Lines::new(4);
        lines.push(b"1234\n123\r\n");
        assert_eq!(lines.pop(), Ok(Some(b"1234".to_vec())));
        assert_eq!(lines.pop(), Ok(Some(b"123".to_vec())));
        assert_eq!(lines.pop(), Ok(None));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

        #[test]
        fn lines_do_not_depend_on_how_bytes_arrive(
            texts in prop::collection::vec("[a-z]{0,20}", 0..10),
            cut in 1_usize..9,
        ) {
            let whole: String = texts.iter().map(|text| format!("{text}\n")).collect();
            let (mut lines, mut got) = (Lines::new(100), Vec::new());
            for chunk in whole.as_bytes().chunks(cut) {
                lines.push(chunk);
                while let Some(line) = lines.pop().unwrap() {
                    got.push(String::from_utf8(line).unwrap());
                }
            }
            prop_assert_eq!(got, texts);
            prop_assert_eq!(lines.pop(), Ok(None));
        }
    }
}
