//! Text for people: whatever untrusted input was quoted in it, a terminal must not act on it.

use std::fmt::Display;

/// Most characters in the sentence of any refusal; the input it quotes is cut long before.
const SENTENCE_MAX: usize = 16 * 1024;

/// Asserts that a sentence can be printed as it is.
///
/// # Panics
/// When it has control characters, or is as long as the input that it is about.
pub fn safe(sentence: &impl Display) {
    let text = sentence.to_string();
    assert!(!text.chars().any(char::is_control), "control characters are shown: {text:?}");
    assert!(text.len() <= SENTENCE_MAX, "a sentence of {} bytes", text.len());
}
