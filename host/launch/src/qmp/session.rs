//! One QMP connection without its transport: greeting, negotiation, identifiers, pipelining, events.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::value::RawValue;

use super::lines::Lines;
use super::message::{self, Message};
pub use super::message::{Breach, Refusal};
use crate::limits::LINE_MAX_BYTES;

/// The connection's state. `T` marks whose command an answer belongs to.
#[derive(Debug)]
pub struct Session<T> {
    lines: Lines,
    phase: Phase,
    next_id: u64,
    pending: HashMap<u64, T>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Greeting,
    Negotiating { id: u64 },
    Ready,
}

/// What came in.
#[derive(Debug)]
pub enum Incoming<T> {
    /// The greeting: send this line to negotiate.
    Negotiate(Vec<u8>),
    /// Commands may be sent from now on.
    Ready,
    /// The answer to the command that was marked so.
    Answer {
        /// The mark.
        tag: T,
        /// The `return` member, or the hypervisor's refusal.
        result: Result<Box<RawValue>, Refusal>,
    },
    /// An event.
    Event {
        /// Its name.
        name: String,
        /// Its data.
        data: Option<Box<RawValue>>,
    },
}

#[derive(Serialize)]
struct CommandLine<'a> {
    execute: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<&'a RawValue>,
    id: u64,
}

impl<T> Default for Session<T> {
    fn default() -> Self {
        Self {
            lines: Lines::new(LINE_MAX_BYTES),
            phase: Phase::Greeting,
            next_id: 1,
            pending: HashMap::new(),
        }
    }
}

impl<T> Session<T> {
    /// Adds what was read from the hypervisor.
    pub fn push(&mut self, bytes: &[u8]) {
        self.lines.push(bytes);
    }

    /// The next thing that came in; nothing when more must be read.
    ///
    /// # Errors
    /// A [`Breach`]: the stream cannot be used any further.
    pub fn take_next(&mut self) -> Result<Option<Incoming<T>>, Breach> {
        while let Some(line) = self.lines.pop().map_err(|_| Breach::TooLong)? {
            if let Some(incoming) = self.take(message::parse(&line)?)? {
                return Ok(Some(incoming));
            }
        }
        Ok(None)
    }

    /// Whether commands may be sent.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.phase == Phase::Ready
    }

    /// The line that sends a command. Any number may be under way; answers carry `tag`.
    ///
    /// # Errors
    /// None that a name or arguments can cause; the JSON writer's own error type is passed on.
    pub fn command(
        &mut self,
        name: &str,
        arguments: Option<&RawValue>,
        tag: T,
    ) -> Result<Vec<u8>, serde_json::Error> {
        let (id, line) = self.line(name, arguments)?;
        self.pending.insert(id, tag);
        Ok(line)
    }

    /// How many commands are under way.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.pending.len()
    }

    /// Gives up all commands under way: their marks.
    pub fn abandon(&mut self) -> Vec<T> {
        self.pending.drain().map(|(_, tag)| tag).collect()
    }

    fn line(
        &mut self,
        execute: &str,
        arguments: Option<&RawValue>,
    ) -> Result<(u64, Vec<u8>), serde_json::Error> {
        let id = self.next_id;
        self.next_id += 1;
        let mut line = serde_json::to_vec(&CommandLine { execute, arguments, id })?;
        line.push(b'\n');
        Ok((id, line))
    }

    fn take(&mut self, message: Message) -> Result<Option<Incoming<T>>, Breach> {
        match (message, self.phase) {
            (Message::Event { name, data }, _) => Ok(Some(Incoming::Event { name, data })),
            (Message::Greeting, Phase::Greeting) => {
                let (id, line) = self.line("qmp_capabilities", None).map_err(|_| Breach::Malformed)?;
                self.phase = Phase::Negotiating { id };
                Ok(Some(Incoming::Negotiate(line)))
            }
            (Message::Answer { id, result: Ok(_) }, Phase::Negotiating { id: wanted })
                if id == Some(wanted) =>
            {
                self.phase = Phase::Ready;
                Ok(Some(Incoming::Ready))
            }
            (Message::Greeting, _)
            | (Message::Answer { .. }, Phase::Greeting | Phase::Negotiating { .. }) => {
                Err(Breach::OutOfOrder)
            }
            // An answer to nothing that was asked, or to something given up, is nobody's.
            (Message::Answer { id, result }, Phase::Ready) => {
                let tag = id.and_then(|id| self.pending.remove(&id));
                Ok(tag.map(|tag| Incoming::Answer { tag, result }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GREETING: &[u8] = b"{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n";

    fn ready() -> Session<&'static str> {
        let mut session = Session::default();
        session.push(GREETING);
        let Some(Incoming::Negotiate(line)) = session.take_next().unwrap() else { panic!("no greeting") };
        assert_eq!(line, b"{\"execute\":\"qmp_capabilities\",\"id\":1}\n");
        session.push(b"{\"return\": {}, \"id\": 1}\r\n");
        assert!(matches!(session.take_next(), Ok(Some(Incoming::Ready))) && session.ready());
        session
    }

    #[test]
    fn answers_find_their_commands_in_any_order_between_events() {
        let mut session = ready();
        assert_eq!(session.command("stop", None, "a").unwrap(), b"{\"execute\":\"stop\",\"id\":2}\n");
        session.command("cont", None, "b").unwrap();
        session.push(b"{\"event\": \"STOP\"}\n{\"return\": {}, \"id\": 3}\n{\"error\": {\"class\": \"C\", ");
        assert!(matches!(session.take_next(), Ok(Some(Incoming::Event { name, .. })) if name == "STOP"));
        assert!(matches!(session.take_next(), Ok(Some(Incoming::Answer { tag: "b", result: Ok(_) }))));
        assert!(matches!(session.take_next(), Ok(None)));
        session.push(b"\"desc\": \"d\"}, \"id\": 2}\n");
        let Ok(Some(Incoming::Answer { tag: "a", result: Err(refusal) })) = session.take_next() else {
            panic!()
        };
        assert_eq!(refusal, Refusal { class: "C".into(), text: "d".into() });
    }

    #[test]
    fn answers_with_wrong_identifiers_are_nobodys() {
        let mut session = ready();
        session.command("stop", None, "a").unwrap();
        session.push(b"{\"return\": {}, \"id\": 99}\n{\"return\": {}}\n{\"return\": {}, \"id\": \"2\"}\n");
        assert!(matches!(session.take_next(), Ok(None)));
        session.push(b"{\"return\": {}, \"id\": 2}\n{\"return\": {}, \"id\": 2}\n");
        assert!(matches!(session.take_next(), Ok(Some(Incoming::Answer { tag: "a", .. }))));
        assert!(matches!(session.take_next(), Ok(None)));
        session.command("x", None, "b").unwrap();
        assert_eq!(session.abandon(), ["b"]);
    }

    #[test]
    fn bombs_end_the_session() {
        let mut session: Session<()> = Session::default();
        for _ in 0..17 {
            session.push(&vec![b'x'; 1 << 20]);
        }
        assert_eq!(session.take_next().unwrap_err(), Breach::TooLong);
        let mut session = ready();
        session.push(&[b"{\"return\": ".as_slice(), &vec![b'['; 100_000], b"\n"].concat());
        assert_eq!(session.take_next().unwrap_err(), Breach::TooDeep);
        let mut early: Session<()> = Session::default();
        early.push(b"{\"return\": {}, \"id\": 1}\n");
        assert_eq!(early.take_next().unwrap_err(), Breach::OutOfOrder);
        let mut again = ready();
        again.push(GREETING);
        assert_eq!(again.take_next().unwrap_err(), Breach::OutOfOrder);
    }

    #[expect(clippy::print_stderr, reason = "a test that cannot run says so")]
    fn skipped(directory: &std::path::Path) {
        eprintln!("skipped: {} is absent", directory.display());
    }

    #[test]
    fn recorded_conversations_are_understood() {
        let directory =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/qmp-traces");
        let Ok(trace) = std::fs::read_to_string(directory.join("life-cycle.trace")) else {
            skipped(&directory);
            return;
        };
        let (mut answers, mut events) = (0, 0);
        for line in trace.lines() {
            let Some(json) = line.find('{').and_then(|at| line.get(at..)) else { continue };
            match message::parse(json.as_bytes()) {
                Ok(Message::Answer { .. }) if line.contains("<-") => answers += 1,
                Ok(Message::Event { .. }) => events += 1,
                _ => {}
            }
        }
        assert!(answers > 50 && events > 5, "{answers} answers, {events} events");
    }
}
