//! The driver's notes about a domain: what the next call must know and no monitor says.

use std::collections::BTreeMap;

use hostler_sdk::{Domain, Error};

/// One thing to remember. Notes are their words, separated by blanks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Note {
    /// It was started with its processors stopped.
    StartedPaused,
    /// It is being put away, and its processors ran before.
    SavingRunning,
    /// It is being put away, and its processors did not run before.
    SavingPaused,
}

impl Note {
    fn word(self) -> &'static str {
        match self {
            Self::StartedPaused => "started-paused",
            Self::SavingRunning => "saving-running",
            Self::SavingPaused => "saving-paused",
        }
    }
}

/// Whether it was noted.
///
/// # Errors
/// What the host says when the notes cannot be read.
pub(super) fn has(domain: &Domain, note: Note) -> Result<bool, Error> {
    Ok(words(&domain.state()?).iter().any(|word| word == note.word()))
}

/// Notes it, durably.
///
/// # Errors
/// What the host says when it cannot be kept.
pub(super) fn add(domain: &Domain, note: Note) -> Result<(), Error> {
    let mut words = words(&domain.state()?);
    if !words.iter().any(|word| word == note.word()) {
        words.push(note.word().to_owned());
    }
    domain.put_state(words.join(" ").as_bytes())
}

/// Forgets these.
///
/// # Errors
/// What the host says when that cannot be kept.
pub(super) fn remove(domain: &Domain, notes: &[Note]) -> Result<(), Error> {
    let known = words(&domain.state()?);
    let left: Vec<_> = known.iter().filter(|word| !notes.iter().any(|note| note.word() == **word)).collect();
    if left.len() == known.len() {
        return Ok(());
    }
    let left: Vec<_> = left.into_iter().map(String::as_str).collect();
    domain.put_state(left.join(" ").as_bytes())
}

/// The noted lists of numbers of this kind, by what they are about: `nodes:vda=3,4` is the list `[3, 4]` about `vda`.
///
/// # Errors
/// What the host says when the notes cannot be read.
pub(super) fn lists(domain: &Domain, kind: &str) -> Result<BTreeMap<String, Vec<u32>>, Error> {
    Ok(words(&domain.state()?).iter().filter_map(|word| list(word, kind)).collect())
}

/// Notes these lists in the place of all of their kinds, at once.
///
/// # Errors
/// What the host says when that cannot be kept.
pub(super) fn put_lists(domain: &Domain, kinds: &[(&str, &BTreeMap<String, Vec<u32>>)]) -> Result<(), Error> {
    let known = words(&domain.state()?);
    let other = |word: &&String| !kinds.iter().any(|(kind, _)| list(word, kind).is_some());
    let mut words: Vec<String> = known.iter().filter(other).cloned().collect();
    for (kind, lists) in kinds {
        for (about, numbers) in lists.iter() {
            let numbers: Vec<_> = numbers.iter().map(u32::to_string).collect();
            words.push(format!("{kind}:{about}={}", numbers.join(",")));
        }
    }
    domain.put_state(words.join(" ").as_bytes())
}

fn list(word: &str, kind: &str) -> Option<(String, Vec<u32>)> {
    let (about, numbers) = word.strip_prefix(kind)?.strip_prefix(':')?.split_once('=')?;
    let numbers = numbers.split(',').filter(|number| !number.is_empty());
    Some((about.to_owned(), numbers.map(|number| number.parse().ok()).collect::<Option<_>>()?))
}

/// Forgets all: what a new run begins with.
///
/// # Errors
/// What the host says when that cannot be kept.
pub(super) fn clear(domain: &Domain) -> Result<(), Error> {
    if domain.state()?.is_empty() { Ok(()) } else { domain.put_state(b"") }
}

fn words(notes: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(notes).split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_words() {
        assert_eq!(words(b"started-paused saving-running"), ["started-paused", "saving-running"]);
        assert!(words(b"").is_empty());
        assert_eq!(words(b"\xff"), ["\u{fffd}"]);
    }

    #[test]
    fn lists_are_words_with_numbers() {
        assert_eq!(list("nodes:vda=3,4", "nodes"), Some(("vda".to_owned(), vec![3, 4])));
        assert_eq!(list("left:vda=", "left"), Some(("vda".to_owned(), Vec::new())));
        for other in ["started-paused", "nodes:vda", "nodes:vda=x", "left:vda=1", "nodes=3"] {
            assert_eq!(list(other, "nodes"), None, "{other}");
        }
    }
}
