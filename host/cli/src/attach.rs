//! Joins the terminal to a console: bytes both ways until the user leaves, the guest ends, or a text appears.

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::output::Output;

/// Ctrl+]: the key that leaves a console, as in virsh and telnet.
const LEAVE: u8 = 0x1d;
/// How much is read at once, in bytes.
const CHUNK: usize = 16 * 1024;
/// Input that a guest does not take is kept up to this size, in bytes; then no more is read.
const LARGEST_BACKLOG: usize = 64 * 1024;

/// Why a console was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// The user pressed the key for it.
    ByUser,
    /// The other side closed it: the domain is off, or the device is gone.
    Closed,
    /// The text that was waited for has appeared.
    Found,
    /// The deadline passed.
    TimedOut,
}

/// The terminal in raw mode; as it was when this is dropped.
pub(crate) struct RawTerminal {
    before: Termios,
}

impl RawTerminal {
    /// Makes standard input raw, so that every key reaches the guest. None if it is no terminal.
    ///
    /// # Errors
    /// What the terminal says.
    pub(crate) fn enter() -> io::Result<Option<Self>> {
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            return Ok(None);
        }
        let before = tcgetattr(&stdin)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&stdin, OptionalActions::Now, &raw)?;
        Ok(Some(Self { before }))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        if let Err(error) = tcsetattr(io::stdin(), OptionalActions::Drain, &self.before) {
            tracing::debug!(%error, "the terminal is gone");
        }
    }
}

/// What ends an attachment besides the user and the guest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Until {
    /// A text in the guest's output.
    pub(crate) text: Option<String>,
    /// A moment.
    pub(crate) deadline: Option<Instant>,
}

/// Copies between standard input and output and the console. Blocks; takes no lock.
///
/// # Errors
/// What the streams say; a closed standard output among it.
pub(crate) fn attach(console: UnixStream, until: &Until, output: &Output) -> io::Result<Left> {
    console.set_nonblocking(true)?;
    let is_terminal = io::stdin().is_terminal();
    let mut joint = Joint {
        console,
        output,
        sought: until.text.as_ref().map(|text| Sought::new(text.as_bytes())),
        input: Some(is_terminal),
        backlog: Vec::new(),
    };
    loop {
        let wait = until.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if wait == Some(Duration::ZERO) {
            return Ok(Left::TimedOut);
        }
        if let Some(left) = joint.step(wait)? {
            return Ok(left);
        }
    }
}

struct Joint<'a> {
    console: UnixStream,
    output: &'a Output,
    sought: Option<Sought>,
    /// Whether standard input is still read, and if so, whether it is a terminal.
    input: Option<bool>,
    backlog: Vec<u8>,
}

#[derive(Default)]
struct Ready {
    input: bool,
    guest: bool,
    guest_takes: bool,
    reader_gone: bool,
}

impl Joint<'_> {
    fn step(&mut self, wait: Option<Duration>) -> io::Result<Option<Left>> {
        let ready = self.poll(wait)?;
        if ready.reader_gone {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if ready.guest
            && let Some(left) = self.show_guest()?
        {
            return Ok(Some(left));
        }
        if ready.guest_takes
            && let Some(left) = self.feed_guest()?
        {
            return Ok(Some(left));
        }
        if ready.input { self.take_input() } else { Ok(None) }
    }

    fn poll(&self, wait: Option<Duration>) -> io::Result<Ready> {
        let (stdin, stdout) = (io::stdin(), io::stdout());
        let mut wanted = PollFlags::IN;
        wanted.set(PollFlags::OUT, !self.backlog.is_empty());
        let mut polled = vec![
            PollFd::from_borrowed_fd(self.console.as_fd(), wanted),
            // Nothing is asked of standard output but to say when its reader is gone.
            PollFd::from_borrowed_fd(stdout.as_fd(), PollFlags::empty()),
        ];
        if self.input.is_some() && self.backlog.len() < LARGEST_BACKLOG {
            polled.push(PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN));
        }
        let timeout = wait.and_then(|wait| Timespec::try_from(wait).ok());
        match poll(&mut polled, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let seen = |index: usize| polled.get(index).map_or(PollFlags::empty(), PollFd::revents);
        let over = PollFlags::HUP | PollFlags::ERR;
        Ok(Ready {
            guest: seen(0).intersects(PollFlags::IN | over),
            guest_takes: seen(0).contains(PollFlags::OUT),
            reader_gone: seen(1).intersects(PollFlags::ERR | PollFlags::NVAL),
            input: seen(2).intersects(PollFlags::IN | over | PollFlags::NVAL),
        })
    }

    fn show_guest(&mut self) -> io::Result<Option<Left>> {
        let mut chunk = [0; CHUNK];
        let bytes = match self.console.read(&mut chunk) {
            Ok(0) => return Ok(Some(Left::Closed)),
            Ok(count) => chunk.get(..count).unwrap_or_default(),
            Err(error) => return gone_or(error),
        };
        self.output.bytes(bytes)?;
        let found = self.sought.as_mut().is_some_and(|sought| sought.see(bytes));
        Ok(found.then_some(Left::Found))
    }

    fn feed_guest(&mut self) -> io::Result<Option<Left>> {
        match self.console.write(&self.backlog) {
            Ok(count) => {
                self.backlog.drain(..count.min(self.backlog.len()));
                Ok(None)
            }
            Err(error) => gone_or(error),
        }
    }

    fn take_input(&mut self) -> io::Result<Option<Left>> {
        let mut chunk = [0; CHUNK];
        // Read from the descriptor itself: a buffer of the library would hide bytes from poll.
        let bytes = match rustix::io::read(io::stdin(), &mut chunk) {
            Ok(0) | Err(rustix::io::Errno::IO) => {
                self.input = None;
                return Ok(None);
            }
            Ok(count) => chunk.get(..count).unwrap_or_default(),
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if self.input == Some(true) && bytes.contains(&LEAVE) {
            return Ok(Some(Left::ByUser));
        }
        self.backlog.extend_from_slice(bytes);
        Ok(None)
    }
}

/// A console that was cut off is closed; one that has nothing now is not.
fn gone_or(error: io::Error) -> io::Result<Option<Left>> {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Ok(Some(Left::Closed)),
        _ => Err(error),
    }
}

/// Looks for a text in a stream that comes in pieces.
struct Sought {
    text: Vec<u8>,
    tail: Vec<u8>,
}

impl Sought {
    fn new(text: &[u8]) -> Self {
        Self { text: text.to_vec(), tail: Vec::new() }
    }

    /// Takes the next piece; whether the text is complete now. Keeps no more than the text is long.
    fn see(&mut self, bytes: &[u8]) -> bool {
        self.tail.extend_from_slice(bytes);
        let found =
            self.text.is_empty() || self.tail.windows(self.text.len()).any(|window| window == self.text);
        let superfluous = self.tail.len().saturating_sub(self.text.len().saturating_sub(1));
        self.tail.drain(..superfluous);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::colour::When;
    use crate::output::{Format, Streams};

    #[test]
    fn sought_is_found_across_pieces() {
        let mut sought = Sought::new(b"login:");
        assert!(!sought.see(b"debian log"));
        assert!(!sought.see(b""));
        assert!(sought.see(b"in: "));
    }

    #[test]
    fn sought_is_not_found_where_it_is_not() {
        let mut sought = Sought::new(b"aab");
        assert!(!sought.see(b"aaa"));
        assert!(!sought.see(b"ab"[..1].as_ref()));
        assert!(sought.see(b"b"));
        assert!(!sought.see(b"b"), "each occurrence counts once");
    }

    #[test]
    fn sought_keeps_less_than_the_text() {
        let mut sought = Sought::new(b"needle");
        assert!(!sought.see(&[b'x'; 100_000]));
        assert!(sought.tail.len() < 6);
    }

    #[test]
    fn attach_ends_when_the_text_appears_when_the_guest_ends_and_at_the_deadline() {
        let output = Output::new(Streams::default(), Format::Table, true, When::Never);
        let (ours, mut guests) = UnixStream::pair().unwrap();
        guests.write_all(b"booting\nready\n").unwrap();
        let until = Until { text: Some("ready".into()), deadline: None };
        assert_eq!(attach(ours.try_clone().unwrap(), &until, &output).unwrap(), Left::Found);

        let until = Until { text: None, deadline: Some(Instant::now() + Duration::from_millis(20)) };
        assert_eq!(attach(ours.try_clone().unwrap(), &until, &output).unwrap(), Left::TimedOut);

        drop(guests);
        assert_eq!(attach(ours, &Until::default(), &output).unwrap(), Left::Closed);
    }
}
