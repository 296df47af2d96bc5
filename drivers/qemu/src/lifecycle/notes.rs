//! The driver's notes about a domain: what the next call must know and no monitor says.

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
}
