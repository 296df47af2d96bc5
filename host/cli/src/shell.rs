//! Words in the syntax of a POSIX shell, for command lines that are shown to be read or pasted.

/// A word in the syntax of a POSIX shell; words without special characters stay bare.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_leaves_nothing_for_the_shell_to_expand() {
        for (word, shown) in
            [("", "''"), ("$HOME", "'$HOME'"), ("a b", "'a b'"), ("~", "'~'"), ("x=1", "x=1")]
        {
            assert_eq!(quoted(word), shown);
        }
    }
}
