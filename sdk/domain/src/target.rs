//! Names of disk targets, such as `vda`, and the index they stand for.

use std::fmt;

/// Longest target name, in bytes: what a Linux block device name can be.
const MAX_TARGET_BYTES: usize = 31;

/// The name under which a guest might see a disk: a prefix and letters that count in base 26.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetName(String);

/// The prefixes of disk names.
const PREFIXES: &[&str] = &["fd", "hd", "sd", "vd", "xvd", "ubd", "nvme"];

impl TargetName {
    /// Takes a name as a target name: not empty, letters, digits, `-`, `_` and `.`, at most 31 bytes.
    pub fn parse(name: &str) -> Option<Self> {
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let valid = !name.is_empty() && name.len() <= MAX_TARGET_BYTES && name.bytes().all(fine);
        valid.then(|| Self(name.to_owned()))
    }

    /// The name of the disk with this index: `("sd", 26)` is `sdaa`.
    pub fn from_index(prefix: &str, index: u32) -> Self {
        let mut letters = Vec::new();
        let mut rest = Some(index);
        while let Some(number) = rest {
            letters.push(char::from(b'a' + u8::try_from(number % 26).unwrap_or(0)));
            rest = (number / 26).checked_sub(1);
        }
        Self(
            letters
                .into_iter()
                .rev()
                .fold(prefix.to_owned(), |name, letter| name + letter.encode_utf8(&mut [0; 4])),
        )
    }

    /// The name as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The prefix, such as `vd`; none when the name follows no known pattern.
    pub fn prefix(&self) -> Option<&'static str> {
        self.split().map(|(prefix, _)| prefix)
    }

    /// The index: `sda` is 0, `sdz` 25, `sdaa` 26; a partition number after it is ignored.
    pub fn index(&self) -> Option<u32> {
        let (_, rest) = self.split()?;
        let letters = rest.trim_end_matches(|character: char| character.is_ascii_digit());
        if letters.is_empty() || !letters.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return None;
        }
        let mut index: u32 = 0;
        for byte in letters.bytes() {
            index = index.checked_mul(26)?.checked_add(u32::from(byte - b'a') + 1)?;
        }
        index.checked_sub(1)
    }

    fn split(&self) -> Option<(&'static str, &str)> {
        PREFIXES.iter().find_map(|prefix| self.0.strip_prefix(prefix).map(|rest| (*prefix, rest)))
    }
}

impl fmt::Display for TargetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(name: &str) -> Option<u32> {
        TargetName::parse(name).unwrap().index()
    }

    #[test]
    fn letters_count_in_base_26() {
        assert_eq!(index("sda"), Some(0));
        assert_eq!(index("sdz"), Some(25));
        assert_eq!(index("sdaa"), Some(26));
        assert_eq!(index("vdaaa"), Some(26 * 26 + 26));
        assert_eq!(index("hdc1"), Some(2));
        assert_eq!(index("xvdb"), Some(1));
        assert_eq!(index("sd"), None);
        assert_eq!(index("weird"), None);
        assert_eq!(index("sdzzzzzzzzzz"), None);
    }

    proptest::proptest! {
        #[test]
        fn names_and_indexes_agree(number in 0..1_000_000_u32) {
            proptest::prop_assert_eq!(TargetName::from_index("vd", number).index(), Some(number));
        }
    }
}
