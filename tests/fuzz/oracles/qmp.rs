//! A QMP session: the same however its bytes arrive, and within its limits.

use std::collections::HashSet;

use hostler_launch::qmp::session::{Incoming, Session};
use hostler_launch::{LINE_MAX_BYTES, MESSAGE_DEPTH_MAX};

use crate::generators::qmp::QmpCase;

/// Streams longer than this arrive in pieces as large as those of a socket.
const LONG_STREAM: usize = 1 << 20;

/// Asserts that a stream says the same whole and in pieces.
///
/// # Panics
/// When a promise is broken.
pub fn check(case: &QmpCase<'_>) {
    let stream = case.stream();
    let whole = run([stream.as_slice()].into_iter(), case.commands);
    let scale = if stream.len() > LONG_STREAM { 4096 } else { 1 };
    let cuts: Vec<usize> = case.cuts.iter().map(|cut| (usize::from(*cut) + 1) * scale).collect();
    let cuts = if cuts.is_empty() { vec![scale] } else { cuts };
    let mut rest = stream.as_slice();
    let pieces = cuts.iter().cycle().map_while(|cut| {
        let (piece, after) = rest.split_at(rest.len().min(*cut));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    });
    assert_eq!(run(pieces, case.commands), whole, "the pieces say something else than the whole");
}

/// Everything that a session says about a stream, as text; ends at the first breach.
fn run<'a>(pieces: impl Iterator<Item = &'a [u8]>, commands: u8) -> Vec<String> {
    let mut session: Session<u8> = Session::default();
    let (mut said, mut open) = (Vec::new(), HashSet::new());
    for piece in pieces {
        session.push(piece);
        loop {
            let incoming = match session.take_next() {
                Ok(Some(incoming)) => incoming,
                Ok(None) => break,
                Err(breach) => {
                    said.push(format!("{breach:?}"));
                    return said;
                }
            };
            if matches!(incoming, Incoming::Ready) {
                assert!(session.ready() && open.is_empty());
                for tag in 0..commands {
                    said.push(send(&mut session, tag));
                    open.insert(tag);
                }
            }
            within_limits(&incoming, session.ready(), &mut open);
            said.push(format!("{incoming:?}"));
        }
    }
    let mut left = session.abandon();
    left.sort_unstable();
    assert_eq!(left.into_iter().collect::<HashSet<_>>(), open, "a command under way is forgotten");
    said
}

/// Sends one command; its line is one line of JSON.
fn send(session: &mut Session<u8>, tag: u8) -> String {
    let arguments = serde_json::value::RawValue::from_string(r#"{"a": "b"}"#.to_owned()).expect("it is JSON");
    let line = session.command("query\n-x", Some(&arguments), tag).expect("it can be written");
    let text = String::from_utf8(line).expect("JSON is text");
    assert_eq!(text.find('\n'), Some(text.len() - 1), "a command of several lines");
    let json: serde_json::Value = serde_json::from_str(&text).expect("a command is JSON");
    assert_eq!(json["execute"], "query\n-x");
    text
}

fn within_limits(incoming: &Incoming<u8>, ready: bool, open: &mut HashSet<u8>) {
    let data = match incoming {
        Incoming::Answer { tag, result } => {
            assert!(ready && open.remove(tag), "an answer to nothing that was asked");
            result.as_ref().ok()
        }
        Incoming::Event { data, .. } => data.as_ref(),
        Incoming::Negotiate(_) | Incoming::Ready => None,
    };
    if let Some(data) = data {
        assert!(data.get().len() <= LINE_MAX_BYTES);
        let json: serde_json::Value = serde_json::from_str(data.get()).expect("data is JSON");
        assert!(levels(&json) < MESSAGE_DEPTH_MAX, "data of {} levels", levels(&json));
    }
}

fn levels(json: &serde_json::Value) -> usize {
    match json {
        serde_json::Value::Array(items) => 1 + items.iter().map(levels).max().unwrap_or(0),
        serde_json::Value::Object(members) => 1 + members.values().map(levels).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use hostler_launch::LINE_MAX_BYTES;

    use super::run;

    #[test]
    fn the_longest_line_is_the_same_in_pieces_and_one_byte_more_is_refused_in_both() {
        for (over, said) in [(0, "LONG"), (1, "TooLong")] {
            let start = r#"{"event": "LONG"}"#;
            let line = format!("{start}{}\n", " ".repeat(LINE_MAX_BYTES + over - start.len()));
            let whole = run([line.as_bytes()].into_iter(), 0);
            assert!(whole.len() == 1 && whole[0].contains(said), "{whole:?}");
            assert_eq!(run(line.as_bytes().chunks(65_537), 0), whole);
        }
    }
}
