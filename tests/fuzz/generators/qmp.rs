//! Streams of a hypervisor: messages in and out of order, rubbish between, lines about as long as allowed.

use arbitrary::Arbitrary;
use hostler_launch::LINE_MAX_BYTES;

/// A stream and how it arrives.
#[derive(Debug, Arbitrary)]
pub struct QmpCase<'a> {
    /// What it says.
    messages: Vec<Message<'a>>,
    /// Lengths of the pieces in which it arrives, used again and again.
    pub cuts: Vec<u8>,
    /// Commands that are sent once the session is ready.
    pub commands: u8,
}

#[derive(Debug, Arbitrary)]
enum Message<'a> {
    Greeting,
    /// The answer that ends negotiation.
    Negotiated,
    Answer {
        id: u8,
        refused: bool,
        data: &'a str,
    },
    Event(&'a str),
    /// An event with data of so many levels.
    Nested(u8),
    Line(&'a str),
    Bytes(&'a [u8]),
    /// An event, filled up to the longest line and so many bytes more or less; rare, because it is slow.
    Long {
        rare: u16,
        over: i8,
    },
}

impl QmpCase<'_> {
    /// All bytes of the stream. At most one line is long.
    #[must_use]
    pub fn stream(&self) -> Vec<u8> {
        let mut stream = Vec::new();
        for message in &self.messages {
            let long = stream.len() > LINE_MAX_BYTES / 2;
            message.write(long, &mut stream);
        }
        stream
    }
}

impl Message<'_> {
    fn write(&self, had_long: bool, stream: &mut Vec<u8>) {
        let text = |text: &str| serde_json::Value::from(text).to_string();
        let line = match self {
            Self::Greeting => r#"{"QMP": {"version": {}, "capabilities": []}}"#.to_owned(),
            Self::Negotiated => r#"{"return": {}, "id": 1}"#.to_owned(),
            Self::Answer { id, refused: false, data } => {
                format!(r#"{{"return": {}, "id": {id}}}"#, text(data))
            }
            Self::Answer { id, refused: true, data } => {
                format!(r#"{{"id": {id}, "error": {{"class": "C", "desc": {}}}}}"#, text(data))
            }
            Self::Event(name) => format!(r#"{{"event": {}, "data": {{"a": [1, 2]}}}}"#, text(name)),
            Self::Nested(levels) => {
                let levels = usize::from(*levels);
                format!(r#"{{"event": "N", "data": {}1{}}}"#, "[".repeat(levels), "]".repeat(levels))
            }
            Self::Line(line) => (*line).to_owned(),
            Self::Bytes(bytes) => return stream.extend(*bytes),
            Self::Long { rare: 0xBEEF, over } if !had_long => {
                let start = r#"{"event": "LONG"}"#;
                let length = LINE_MAX_BYTES.saturating_add_signed(isize::from(*over));
                format!("{start}{}", " ".repeat(length - start.len()))
            }
            Self::Long { .. } => return,
        };
        stream.extend(line.as_bytes());
        stream.extend(b"\r\n");
    }
}
