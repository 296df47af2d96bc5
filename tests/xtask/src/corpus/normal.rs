//! What may differ between two hosts and is still the same: state directories and descriptor numbers.

/// Stands for a value that is not compared; its presence still is.
pub(crate) const IGNORED: &str = "@ignored@";

/// Descriptor numbers: they say nothing about the domain.
pub(crate) fn is_ignored(option: &str, key: &str) -> bool {
    matches!(
        (option, key),
        ("-chardev", "fd")
            | ("-netdev", "fd" | "fds" | "vhostfd" | "vhostfds")
            | ("-add-fd", "fd" | "set")
            | ("-device", "vhostfd")
    )
}

/// Replaces the per-domain state directory and the number of a descriptor set.
pub(crate) fn substitute(text: &str) -> String {
    mask_fd_sets(&mask_state_directories(text))
}

/// `/any/where/domain-17-NAME` becomes `@DOMDIR@/domain-N-NAME`: the path is one word without quotes or commas.
fn mask_state_directories(text: &str) -> String {
    const MARK: &str = "/domain-";
    let mut result = String::new();
    let mut rest = text;
    while let Some((start, end)) = find_state_directory(rest, MARK) {
        result.push_str(rest.get(..start).unwrap_or_default());
        result.push_str("@DOMDIR@/domain-N-");
        rest = rest.get(end..).unwrap_or_default();
    }
    result + rest
}

/// The first word that holds a state directory: from its first slash to after the number of the last one in it.
fn find_state_directory(text: &str, mark: &str) -> Option<(usize, usize)> {
    let mut word_start = 0;
    for word in text.split(|c: char| c == ',' || c == '"' || c == '\'' || c.is_whitespace()) {
        let last = word.rmatch_indices(mark).find_map(|(at, _)| {
            let tail = word.get(at + mark.len()..)?;
            Some(at + mark.len() + number_and_dash(tail)?)
        });
        // A slash must come before the mark's own: the pattern starts at the first slash of the word.
        if let (Some(end), Some(first)) = (last, word.find('/'))
            && has_state_directory_after(word, first, end, mark)
        {
            return Some((word_start + first, word_start + end));
        }
        word_start +=
            word.len() + text.get(word_start + word.len()..)?.chars().next().map_or(0, char::len_utf8);
    }
    None
}

/// Whether the mark that ends at `end` begins after the slash at `first`.
fn has_state_directory_after(word: &str, first: usize, end: usize, mark: &str) -> bool {
    word.get(first + 1..end).is_some_and(|between| between.contains(mark))
}

/// The length of `-1-` or `17-` at the start of `text`.
fn number_and_dash(text: &str) -> Option<usize> {
    let number = if text.starts_with("-1") {
        2
    } else {
        text.find(|c: char| !c.is_ascii_digit()).filter(|&digits| digits > 0)?
    };
    text.get(number..)?.starts_with('-').then_some(number + 1)
}

/// `/dev/fdset/7` becomes `/dev/fdset/@N@`.
fn mask_fd_sets(text: &str) -> String {
    const MARK: &str = "/dev/fdset/";
    let mut pieces = text.split(MARK);
    let mut result = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let rest = piece.trim_start_matches(|c: char| c.is_ascii_digit());
        result.push_str(MARK);
        result.push_str(if rest.len() < piece.len() { "@N@" } else { "" });
        result.push_str(rest);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::{is_ignored, substitute};

    #[test]
    fn state_directory_is_masked_within_its_word() {
        assert_eq!(substitute("/tmp/lib/domain--1-x/m.sock"), "@DOMDIR@/domain-N-x/m.sock");
        assert_eq!(substitute("path=/var/lib/domain-17-x"), "path=@DOMDIR@/domain-N-x");
        assert_eq!(substitute("a,/x/domain-3-y,/z"), "a,@DOMDIR@/domain-N-y,/z");
    }

    #[test]
    fn other_paths_stay() {
        for text in ["/domain-1-x", "/tmp/domain-x-1", "/tmp/domain-1", "domain-1-x", "/a b/c", ""] {
            assert_eq!(substitute(text), text);
        }
    }

    #[test]
    fn fd_sets_are_masked() {
        assert_eq!(substitute("/dev/fdset/12"), "/dev/fdset/@N@");
        assert_eq!(substitute("/dev/fdset/x"), "/dev/fdset/x");
    }

    #[test]
    fn descriptors_are_ignored_only_where_they_are_one() {
        assert!(is_ignored("-chardev", "fd") && is_ignored("-netdev", "vhostfds"));
        assert!(!is_ignored("-chardev", "path") && !is_ignored("-blockdev", "fd"));
    }
}
