//! What the two sides of a migration say to each other. Everything read here is untrusted.
//!
//! A connection begins with a line: `hostler-migration/1 control`, or `hostler-migration/1 data TOKEN` for the one that the
//! hypervisors get. Messages on the first are JSON behind a length of four bytes, the highest first.

use std::io;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::time::Duration;

use hostler_state::Uuid;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

use crate::error::{Error, Kind};

/// What a connection begins with, before the version.
const NAME: &str = "hostler-migration/";
/// The version of what is said.
const VERSION: &str = "1";
/// Longest first line, in bytes.
const LINE_BYTES: usize = 128;
/// Longest message, in bytes: two documents of 4 MiB, each character of them escaped.
const MESSAGE_BYTES: usize = 20 << 20;
/// Most bytes of a text of the other side that are shown.
const TEXT_BYTES: usize = 4 << 10;
/// Most hints of the other side that are shown.
const HINTS: usize = 8;
/// How long the other side may take for what takes no work.
pub(crate) const SHORT_WAIT: Duration = Duration::from_secs(10);

/// A connection.
#[derive(Debug)]
pub(crate) enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// Which way the guest's bytes go on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Out,
    In,
}

impl Stream {
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(buffer).await,
            Self::Tcp(stream) => stream.read(buffer).await,
        }
    }

    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = async {
            match self {
                Self::Unix(stream) => stream.write_all(bytes).await,
                Self::Tcp(stream) => stream.write_all(bytes).await,
            }
        };
        within(SHORT_WAIT, written).await
    }

    /// The descriptor for a hypervisor, good for one direction.
    pub(crate) fn into_fd(self, direction: Direction) -> io::Result<OwnedFd> {
        let unwanted = if direction == Direction::Out { Shutdown::Read } else { Shutdown::Write };
        match self {
            Self::Unix(stream) => {
                let stream = stream.into_std()?;
                stream.set_nonblocking(false)?;
                stream.shutdown(unwanted)?;
                Ok(stream.into())
            }
            Self::Tcp(stream) => {
                let stream = stream.into_std()?;
                stream.set_nonblocking(false)?;
                stream.shutdown(unwanted)?;
                Ok(stream.into())
            }
        }
    }

    /// Says what this connection is for.
    pub(crate) async fn introduce(&mut self, line: &FirstLine) -> io::Result<()> {
        let purpose = match line {
            FirstLine::Control => "control".to_owned(),
            FirstLine::Data(token) => format!("data {token}"),
        };
        self.write_all(format!("{NAME}{VERSION} {purpose}\n").as_bytes()).await
    }

    /// What the other side says that this connection is for. Reads that line and not a byte more.
    pub(crate) async fn first_line(&mut self) -> io::Result<Result<FirstLine, String>> {
        let reading = async {
            let mut line = Vec::new();
            let mut byte = [0];
            while line.len() < LINE_BYTES {
                if self.read(&mut byte).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                if byte == *b"\n" {
                    break;
                }
                line.extend_from_slice(&byte);
            }
            Ok(FirstLine::parse(&line))
        };
        within(SHORT_WAIT, reading).await
    }
}

/// What a connection is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FirstLine {
    /// Messages.
    Control,
    /// The guest's bytes, of the migration with this token.
    Data(String),
}

impl FirstLine {
    /// What a line says, or why that is nothing that is known here.
    fn parse(line: &[u8]) -> Result<Self, String> {
        let line = std::str::from_utf8(line).unwrap_or_default();
        let Some((version, purpose)) = line.strip_prefix(NAME).and_then(|rest| rest.split_once(' ')) else {
            return Err("it does not speak hostler's protocol".to_owned());
        };
        if version != VERSION {
            return Err(format!("it speaks version '{}', and this {VERSION}", version.escape_debug()));
        }
        match purpose.split_once(' ') {
            None if purpose == "control" => Ok(Self::Control),
            Some(("data", token)) => Ok(Self::Data(token.to_owned())),
            _ => Err(format!("'{}' is nothing that a connection is for", purpose.escape_debug())),
        }
    }
}

/// What one side says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "says")]
pub(crate) enum Message {
    /// The sender has a guest.
    Offer(Box<Offer>),
    /// The receiver waits for its bytes, on a connection that begins with this token.
    Ready {
        /// Nobody else knows it.
        token: String,
        /// The receiver's state directory: who can read it sees there what came of the migration.
        state_dir: String,
    },
    /// The receiver does not take it, and nothing of it runs there.
    Refused(Refusal),
    /// All of the guest is there. It is stopped.
    Received,
    /// The sender gives the guest away: from here on it only takes it back when it is refused.
    Go,
    /// The guest is the receiver's.
    Runs,
}

/// A guest, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Offer {
    /// Identifies this migration.
    pub(crate) id: Uuid,
    /// The domain's name.
    pub(crate) name: String,
    /// The driver that runs it.
    pub(crate) driver: String,
    /// The document that it runs with.
    pub(crate) document: String,
    /// The stored definition, where it is to be defined there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) definition: Option<String>,
    /// Whether it is to be defined there.
    pub(crate) persist: bool,
    /// Whether its processors are to run there.
    pub(crate) running: bool,
}

/// Why a guest is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refusal {
    code: String,
    message: String,
    #[serde(default)]
    hints: Vec<String>,
}

impl From<&Error> for Refusal {
    fn from(error: &Error) -> Self {
        let causes = std::iter::successors(std::error::Error::source(error), |error| error.source());
        let message = std::iter::once(error.to_string()).chain(causes.map(ToString::to_string));
        Self {
            code: error.code().to_owned(),
            message: message.collect::<Vec<_>>().join(": "),
            hints: error.hints.iter().map(|hint| hint.text.clone()).collect(),
        }
    }
}

impl Refusal {
    /// What the sender tells its user.
    pub(crate) fn into_error(self, name: &str) -> Error {
        let message = format!("the destination does not take '{name}': {}", shown(&self.message));
        let error = Error::new(Kind::Conflict, "migration.refused", message)
            .about("domain", name)
            .about("reason", shown(&self.code));
        self.hints.iter().take(HINTS).fold(error, |error, hint| error.hint(format!("there: {}", shown(hint))))
    }
}

fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(TEXT_BYTES).flat_map(clean).collect();
    if text.chars().count() > TEXT_BYTES {
        shown.push('…');
    }
    shown
}

/// Quotes stay as they are; what moves a cursor does not.
fn clean(character: char) -> Vec<char> {
    if character.is_control() { character.escape_debug().collect() } else { vec![character] }
}

/// The connection with messages.
#[derive(Debug)]
pub(crate) struct Channel {
    stream: Stream,
    /// What was read and is no whole message yet.
    read: Vec<u8>,
}

impl Channel {
    pub(crate) fn over(stream: Stream) -> Self {
        Self { stream, read: Vec::new() }
    }

    pub(crate) async fn send(&mut self, message: &Message) -> Result<(), Error> {
        let unsaid = |error: io::Error| lost("the other side of the migration is gone").caused_by(error);
        let body = serde_json::to_vec(message).map_err(|error| unsaid(error.into()))?;
        let length = u32::try_from(body.len()).ok().filter(|_| body.len() <= MESSAGE_BYTES);
        let length = length.ok_or_else(|| unsaid(io::ErrorKind::InvalidInput.into()))?;
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.extend_from_slice(&body);
        self.stream.write_all(&bytes).await.map_err(unsaid)
    }

    /// The next message, if it comes within so long. Giving this up loses nothing of it.
    pub(crate) async fn receive_within(&mut self, wait: Duration) -> Result<Option<Message>, Error> {
        match tokio::time::timeout(wait, self.next()).await {
            Ok(message) => message.map(Some),
            Err(_) => Ok(None),
        }
    }

    /// The next message.
    ///
    /// # Errors
    /// [`Kind::TimedOut`] when it does not come; `migration.lost` when the other side is gone.
    pub(crate) async fn receive(&mut self, wait: Duration) -> Result<Message, Error> {
        match self.receive_within(wait).await? {
            Some(message) => Ok(message),
            None => {
                let message =
                    format!("the other side of the migration said nothing for {} s", wait.as_secs());
                Err(Error::new(Kind::TimedOut, "migration.silent", message))
            }
        }
    }

    async fn next(&mut self) -> Result<Message, Error> {
        loop {
            if let Some(message) = self.whole()? {
                return Ok(message);
            }
            let mut piece = vec![0; 64 << 10];
            let count = self
                .stream
                .read(&mut piece)
                .await
                .map_err(|error| lost("the connection of the migration broke").caused_by(error))?;
            if count == 0 {
                return Err(lost("the other side of the migration has closed the connection"));
            }
            self.read.extend(piece.into_iter().take(count));
        }
    }

    /// Takes a message out of what was read.
    fn whole(&mut self) -> Result<Option<Message>, Error> {
        let Some((head, rest)) = self.read.split_first_chunk::<4>() else { return Ok(None) };
        let length = usize::try_from(u32::from_be_bytes(*head)).unwrap_or(usize::MAX);
        if length > MESSAGE_BYTES {
            return Err(unreadable(format!("a message of {length} bytes")));
        }
        let Some(body) = rest.get(..length) else { return Ok(None) };
        let message =
            serde_json::from_slice(body).map_err(|error| unreadable("a message".into()).caused_by(error))?;
        self.read.drain(..4 + length);
        Ok(Some(message))
    }
}

async fn within<T>(wait: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(wait, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

fn lost(message: &str) -> Error {
    Error::new(Kind::Host, "migration.lost", message)
}

fn unreadable(what: String) -> Error {
    let message = format!("the other side of the migration sent what cannot be read: {what}");
    Error::new(Kind::Invalid, "migration.protocol", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    fn offer() -> Message {
        Message::Offer(Box::new(Offer {
            id: Uuid::nil(),
            name: "a".into(),
            driver: "qemu".into(),
            document: "<domain/>".into(),
            definition: None,
            persist: false,
            running: true,
        }))
    }

    #[test]
    fn what_is_said_is_heard_in_order() {
        block_on(async {
            let (a, b) = UnixStream::pair().unwrap();
            let (mut a, mut b) = (Stream::Unix(a), Stream::Unix(b));
            a.introduce(&FirstLine::Data("t0".into())).await.unwrap();
            assert_eq!(b.first_line().await.unwrap().unwrap(), FirstLine::Data("t0".into()));
            let (mut a, mut b) = (Channel::over(a), Channel::over(b));
            let all = [
                offer(),
                Message::Ready { token: "t".into(), state_dir: "/s".into() },
                Message::Refused(Refusal { code: "a".into(), message: "b".into(), hints: Vec::new() }),
                Message::Received,
                Message::Go,
                Message::Runs,
            ];
            for message in &all {
                a.send(message).await.unwrap();
            }
            for message in &all {
                assert_eq!(&b.receive(SHORT_WAIT).await.unwrap(), message);
            }
            assert_eq!(b.receive_within(Duration::ZERO).await.unwrap(), None);
            drop(a);
            assert_eq!(b.receive(SHORT_WAIT).await.unwrap_err().code(), "migration.lost");
        });
    }

    #[test]
    fn first_lines_of_others_are_refused_with_what_they_are() {
        for (line, why) in [
            (&b"GET / HTTP/1.1"[..], "does not speak"),
            (b"hostler-migration/2 control", "version '2'"),
            (b"hostler-migration/1 tea", "'tea'"),
            (b"\xff\xfe", "does not speak"),
            (b"", "does not speak"),
        ] {
            assert!(FirstLine::parse(line).unwrap_err().contains(why), "{line:?}");
        }
        assert_eq!(FirstLine::parse(b"hostler-migration/1 control"), Ok(FirstLine::Control));
    }

    #[test]
    fn message_that_claims_gigabytes_is_refused_before_it_comes() {
        let (a, _b) = block_on(async { UnixStream::pair() }).unwrap();
        let mut channel = Channel { stream: Stream::Unix(a), read: u32::MAX.to_be_bytes().to_vec() };
        assert_eq!(channel.whole().unwrap_err().code(), "migration.protocol");
    }

    #[test]
    fn refusal_of_the_other_side_moves_no_cursor() {
        let told = Refusal { code: "a.b".into(), message: "\u{1b}[2J'x'".into(), hints: vec!["y".into()] };
        let error = told.into_error("vm");
        assert!(!error.message.contains('\u{1b}') && error.message.contains("'x'"), "{}", error.message);
        assert_eq!(error.hints[0].text, "there: y");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

        #[test]
        fn any_bytes_are_judged_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _line = FirstLine::parse(&bytes);
            block_on(async {
                let (a, b) = UnixStream::pair().unwrap();
                let mut a = a;
                a.write_all(&bytes).await.unwrap();
                drop(a);
                let mut channel = Channel::over(Stream::Unix(b));
                while channel.receive(SHORT_WAIT).await.is_ok() {}
            });
        }
    }
}
