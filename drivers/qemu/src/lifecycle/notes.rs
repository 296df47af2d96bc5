//! The driver's notes about a domain: what the next call must know and no monitor says.

use hostler_sdk::{Domain, Error};

/// One thing to remember. Notes are their words, separated by blanks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Note {
    /// Its processors are held before their first instruction: it was started so, or reset while they did not run.
    HeldBack,
    /// It is being put away, and its processors ran before.
    SavingRunning,
    /// It is being put away, and its processors did not run before.
    SavingPaused,
    /// It is to go on elsewhere, and its processors ran before.
    MovingRunning,
    /// It is to go on elsewhere, and its processors did not run before.
    MovingPaused,
}

impl Note {
    fn word(self) -> &'static str {
        match self {
            Self::HeldBack => "started-paused",
            Self::SavingRunning => "saving-running",
            Self::SavingPaused => "saving-paused",
            Self::MovingRunning => "moving-running",
            Self::MovingPaused => "moving-paused",
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

/// What was noted under this key.
///
/// # Errors
/// What the host says when the notes cannot be read.
pub(super) fn value(domain: &Domain, key: &str) -> Result<Option<String>, Error> {
    Ok(values(domain, key)?.into_iter().find(|(rest, _)| rest.is_empty()).map(|(_, value)| value))
}

/// Everything that was noted under keys that begin so, by what follows.
///
/// # Errors
/// What the host says when the notes cannot be read.
pub(super) fn values(domain: &Domain, prefix: &str) -> Result<Vec<(String, String)>, Error> {
    Ok(words(&domain.state()?).iter().filter_map(|word| keyed(word, prefix)).collect())
}

fn keyed(word: &str, prefix: &str) -> Option<(String, String)> {
    let (key, value) = word.split_once('=')?;
    Some((key.strip_prefix(prefix)?.to_owned(), value.to_owned()))
}

/// Notes values under their keys, durably and at once, in place of what was noted there; nothing in place of a value
/// forgets it. Neither has blanks.
///
/// # Errors
/// What the host says when they cannot be kept.
pub(super) fn put(domain: &Domain, entries: &[(String, Option<String>)]) -> Result<(), Error> {
    let known = words(&domain.state()?);
    let replaced = |word: &String| {
        entries.iter().any(|(key, _)| keyed(word, key).is_some_and(|(rest, _)| rest.is_empty()))
    };
    let mut left: Vec<_> = known.iter().filter(|word| !replaced(word)).cloned().collect();
    left.extend(entries.iter().filter_map(|(key, value)| Some(format!("{key}={}", value.as_ref()?))));
    if left == known { Ok(()) } else { domain.put_state(left.join(" ").as_bytes()) }
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
        assert_eq!(keyed("nic:52:54:00:00:00:01=net1", "nic:").unwrap().1, "net1");
        assert_eq!(keyed("nodes:vda=a,b", "nodes:vda").unwrap(), (String::new(), "a,b".to_owned()));
        assert_eq!(
            (keyed("nodes:vdab=a", "nodes:vda").unwrap().0, keyed("a=b", "c")),
            ("b".to_owned(), None)
        );
    }
}
