//! What is said to a guest agent, and what comes back: JSON on lines, from a guest, so nothing in it is believed.
//!
//! The far end may have been spoken to before, by somebody who went away: what is left of that is skipped. Each conversation
//! begins with `guest-sync-delimited`, whose answer is behind a byte that is in no JSON.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

/// Longest answer, in bytes: a list of file systems or of commands has some tens of KiB.
const LINE_BYTES: usize = 1 << 20;
/// Most bytes that are skipped before the answer that was asked for.
const SKIPPED_BYTES: usize = 4 << 20;
/// Most characters of a guest's text that are shown.
const SHOWN: usize = 512;
/// In no JSON: it ends whatever the far end has half read, and begins an answer that is in step.
const DELIMITER: u8 = 0xff;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Silence {
    /// Nobody answered in time.
    TimedOut,
    /// The connection is gone.
    Closed(io::Error),
    /// What came is no answer.
    Nonsense(&'static str),
    /// The agent refused: its class, and its words made harmless.
    Refused { class: String, words: String },
}

/// A conversation with one agent.
pub(crate) struct Conversation {
    stream: UnixStream,
    received: Vec<u8>,
    until: Instant,
    skipped: usize,
    line_bytes: usize,
}

impl Conversation {
    /// Begins one, in step with the agent, that is over after this time.
    ///
    /// # Errors
    /// See [`Silence`].
    pub(crate) fn begin(stream: UnixStream, wait: Duration) -> Result<Self, Silence> {
        let mut conversation = Self {
            stream,
            received: Vec::new(),
            until: Instant::now() + wait,
            skipped: 0,
            line_bytes: LINE_BYTES,
        };
        let (number, _) = Uuid::new_v4().as_u64_pair();
        // Within what every JSON reader keeps exact.
        let number = number >> 12;
        conversation.send(&json!({"execute": "guest-sync-delimited", "arguments": {"id": number}}), true)?;
        loop {
            conversation.skip_to_delimiter()?;
            let line = conversation.line()?;
            let answer: Option<Value> = serde_json::from_slice(&line).ok();
            if answer.and_then(|answer| answer.get("return")?.as_u64()) == Some(number) {
                return Ok(conversation);
            }
        }
    }

    /// Says a command and hears its answer.
    ///
    /// # Errors
    /// See [`Silence`].
    pub(crate) fn call(&mut self, command: &str, arguments: Option<Value>) -> Result<Value, Silence> {
        self.tell(command, arguments)?;
        let line = self.line()?;
        answer(&line)
    }

    /// Says a command whose answer is what it does.
    ///
    /// # Errors
    /// See [`Silence`].
    pub(crate) fn tell(&mut self, command: &str, arguments: Option<Value>) -> Result<(), Silence> {
        let mut message = json!({"execute": command});
        if let (Some(arguments), Some(members)) = (arguments, message.as_object_mut()) {
            members.insert("arguments".to_owned(), arguments);
        }
        self.send(&message, false)
    }

    /// What an agent says that was told something, if it says anything before the time is over: that it refuses.
    ///
    /// # Errors
    /// [`Silence::Refused`].
    pub(crate) fn refusal(&mut self) -> Result<(), Silence> {
        match self.line().and_then(|line| answer(&line)) {
            Err(refused @ Silence::Refused { .. }) => Err(refused),
            _ => Ok(()),
        }
    }

    /// Lets the conversation go on until this much later.
    pub(crate) fn allow(&mut self, wait: Duration) {
        self.until = Instant::now() + wait;
    }

    /// Takes an answer of so many bytes from now on.
    pub(crate) fn take_up_to(&mut self, bytes: usize) {
        self.line_bytes = bytes;
    }

    fn send(&mut self, message: &Value, delimited: bool) -> Result<(), Silence> {
        let mut line = if delimited { vec![DELIMITER] } else { Vec::new() };
        line.extend_from_slice(message.to_string().as_bytes());
        line.push(b'\n');
        self.stream.set_write_timeout(Some(self.left()?)).map_err(Silence::Closed)?;
        self.stream.write_all(&line).map_err(silence)
    }

    fn left(&self) -> Result<Duration, Silence> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(Silence::TimedOut) } else { Ok(left) }
    }

    fn receive(&mut self) -> Result<(), Silence> {
        self.stream.set_read_timeout(Some(self.left()?)).map_err(Silence::Closed)?;
        let mut buffer = [0; 16 << 10];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err(Silence::Closed(io::ErrorKind::UnexpectedEof.into())),
            Ok(count) => {
                self.received.extend_from_slice(buffer.get(..count).unwrap_or_default());
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(silence(error)),
        }
    }

    fn skip_to_delimiter(&mut self) -> Result<(), Silence> {
        loop {
            let found = self.received.iter().position(|byte| *byte == DELIMITER);
            let skipped = found.map_or(self.received.len(), |at| at + 1);
            self.received.drain(..skipped);
            self.skipped += skipped;
            if self.skipped > SKIPPED_BYTES {
                return Err(Silence::Nonsense("too much that nobody asked for"));
            }
            if found.is_some() {
                return Ok(());
            }
            self.receive()?;
        }
    }

    /// The next line that is not empty.
    fn line(&mut self) -> Result<Vec<u8>, Silence> {
        let mut looked_at = 0;
        loop {
            let new = self.received.get(looked_at..).unwrap_or_default();
            if let Some(at) = new.iter().position(|byte| *byte == b'\n') {
                let end = looked_at + at;
                looked_at = 0;
                let mut line: Vec<u8> = self.received.drain(..=end).collect();
                line.retain(|byte| *byte != DELIMITER);
                if !line.trim_ascii().is_empty() {
                    return Ok(line);
                }
                continue;
            }
            looked_at = self.received.len();
            if looked_at > self.line_bytes {
                return Err(Silence::Nonsense("an answer that does not end"));
            }
            self.receive()?;
        }
    }
}

fn silence(error: io::Error) -> Silence {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Silence::TimedOut,
        _ => Silence::Closed(error),
    }
}

/// The answer on a line. Nested deeper than the reader allows (128) it is none.
fn answer(line: &[u8]) -> Result<Value, Silence> {
    let parsed: Value =
        serde_json::from_slice(line).map_err(|_| Silence::Nonsense("an answer that is no JSON"))?;
    let Value::Object(mut members) = parsed else {
        return Err(Silence::Nonsense("an answer that is no object"));
    };
    if let Some(error) = members.get("error") {
        let text = |name: &str| shown(error.get(name).and_then(Value::as_str).unwrap_or_default());
        return Err(Silence::Refused { class: text("class"), words: text("desc") });
    }
    members.remove("return").ok_or(Silence::Nonsense("an answer that answers nothing"))
}

/// Text of a guest, made harmless and short.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(SHOWN).flat_map(char::escape_debug).filter(|letter| !letter.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};

    use super::*;

    const WAIT: Duration = Duration::from_secs(20);

    /// An agent that answers the sync with `before` in front, and each further line with `answer`.
    fn agent(before: &'static [u8], answer: &'static [u8]) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().unwrap();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(theirs.try_clone().unwrap());
            let mut line = Vec::new();
            lines.read_until(b'\n', &mut line).unwrap();
            assert_eq!(line.remove(0), DELIMITER);
            let sync: Value = serde_json::from_slice(&line).unwrap();
            let mut theirs = theirs;
            // A far end that is gone meanwhile is what some of these tests want.
            let _gone = theirs.write_all(before);
            let _gone = theirs.write_all(&[DELIMITER]);
            let _gone = theirs.write_all(format!("{{\"return\": {}}}\n", sync["arguments"]["id"]).as_bytes());
            while lines.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                if theirs.write_all(answer).is_err() {
                    return;
                }
            }
        });
        ours
    }

    #[test]
    fn what_was_left_by_others_is_skipped() {
        let left = b"{\"return\": {\"old\": 1}}\n\xff{\"return\": 7}\n\xffgarbage\n";
        let mut conversation = Conversation::begin(agent(left, b"\n{\"return\": {}}\n"), WAIT).unwrap();
        assert_eq!(conversation.call("guest-ping", None).unwrap(), json!({}));
        assert_eq!(conversation.call("guest-ping", Some(json!({"x": 1}))).unwrap(), json!({}));
    }

    #[test]
    fn words_of_a_refusal_are_harmless_and_short() {
        let refused = b"{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"\\u001b[31mno\\n\"}}\n";
        let mut conversation = Conversation::begin(agent(b"", refused), WAIT).unwrap();
        let Err(Silence::Refused { class, words }) = conversation.call("guest-x", None) else { panic!() };
        assert_eq!((class.as_str(), words.contains('\u{1b}')), ("CommandNotFound", false));
        assert!(shown(&"x".repeat(100_000)).len() <= SHOWN);
    }

    #[test]
    fn answers_that_are_none_end_the_conversation() {
        let nested: &'static [u8] = Box::leak([vec![b'['; 100_000], b"\n".to_vec()].concat().into());
        let endless: &'static [u8] = Box::leak(vec![b'x'; 2 * LINE_BYTES].into());
        for answer in [b"no json\n".as_slice(), b"[1]\n", b"{\"event\": 1}\n", nested, endless] {
            let mut conversation = Conversation::begin(agent(b"", answer), WAIT).unwrap();
            assert!(matches!(conversation.call("guest-ping", None), Err(Silence::Nonsense(_))));
        }
    }

    #[test]
    fn flood_silence_and_an_end_are_told_apart() {
        let flood: &'static [u8] = Box::leak(vec![b'x'; 2 * SKIPPED_BYTES].into());
        assert!(matches!(Conversation::begin(agent(flood, b""), WAIT), Err(Silence::Nonsense(_))));
        let (ours, theirs) = UnixStream::pair().unwrap();
        let silent = Conversation::begin(ours, Duration::from_millis(20));
        assert!(matches!(silent, Err(Silence::TimedOut)));
        drop(theirs);
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        assert!(matches!(Conversation::begin(ours, WAIT), Err(Silence::Closed(_))));
    }
}
