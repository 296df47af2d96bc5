//! One line of QMP, taken apart without looking into answers.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::limits::MESSAGE_DEPTH_MAX;

/// What a line says.
#[derive(Debug)]
pub(crate) enum Message {
    Greeting,
    Answer { id: Option<u64>, result: Result<Box<RawValue>, Refusal> },
    Event { name: String, data: Option<Box<RawValue>> },
}

/// The hypervisor's own error: untrusted text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its class: `GenericError`, `CommandNotFound` …
    pub class: String,
    /// What it says.
    pub text: String,
}

/// Why a line is not QMP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breach {
    /// A line exceeds the limit.
    TooLong,
    /// A message has more levels than allowed.
    TooDeep,
    /// It is not JSON, or not a message.
    Malformed,
    /// An answer came before the greeting, or negotiation was refused.
    OutOfOrder,
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "QMP")]
    greeting: Option<Box<RawValue>>,
    #[serde(rename = "return")]
    value: Option<Box<RawValue>>,
    error: Option<ErrorMember>,
    event: Option<String>,
    data: Option<Box<RawValue>>,
    id: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct ErrorMember {
    class: String,
    desc: String,
}

/// Takes one line apart.
pub(crate) fn parse(line: &[u8]) -> Result<Message, Breach> {
    if depth_exceeds(line, MESSAGE_DEPTH_MAX) {
        return Err(Breach::TooDeep);
    }
    let line: Line = serde_json::from_slice(line).map_err(|_| Breach::Malformed)?;
    let id = line.id.as_ref().and_then(serde_json::Value::as_u64);
    if let Some(name) = line.event {
        return Ok(Message::Event { name, data: line.data });
    }
    if let Some(value) = line.value {
        return Ok(Message::Answer { id, result: Ok(value) });
    }
    if let Some(ErrorMember { class, desc }) = line.error {
        return Ok(Message::Answer { id, result: Err(Refusal { class, text: desc }) });
    }
    if line.greeting.is_some() { Ok(Message::Greeting) } else { Err(Breach::Malformed) }
}

/// Whether brackets nest deeper than `max`; text is skipped. Valid JSON or not, it ends.
fn depth_exceeds(json: &[u8], max: usize) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > max {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn kinds_of_lines_are_told_apart() {
        let greeting = br#"{"QMP": {"version": {"qemu": {"major": 7}}, "capabilities": ["oob"]}}"#;
        assert!(matches!(parse(greeting), Ok(Message::Greeting)));
        let answer = parse(br#"{"return": {"running": true}, "id": 7}"#);
        assert!(matches!(answer, Ok(Message::Answer { id: Some(7), result: Ok(_) })));
        let error = parse(br#"{"error": {"class": "GenericError", "desc": "no"}, "id": "x"}"#);
        assert!(matches!(error, Ok(Message::Answer { id: None, result: Err(_) })));
        assert!(matches!(parse(br#"{"event": "STOP", "timestamp": {}}"#), Ok(Message::Event { .. })));
        for bad in [&b"{}"[..], b"[]", b"x", b"", b"{\"event\": 7}", b"{\"error\": {}}", b"\xff"] {
            assert_eq!(parse(bad).unwrap_err(), Breach::Malformed);
        }
    }

    #[test]
    fn nesting_is_bounded_and_brackets_in_text_do_not_count() {
        let nested = |levels: usize| format!("{{\"return\": {}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse(nested(63).as_bytes()).is_ok());
        assert_eq!(parse(nested(64).as_bytes()).unwrap_err(), Breach::TooDeep);
        assert_eq!(parse("[".repeat(1 << 20).as_bytes()).unwrap_err(), Breach::TooDeep);
        let text = format!("{{\"return\": \"{}\\\"{{\"}}", "[".repeat(200));
        assert!(parse(text.as_bytes()).is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _breach_or_message = parse(&bytes);
        }
    }
}
