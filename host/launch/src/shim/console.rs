//! A guest's console as the shim keeps it: a log, the last bytes for replay, and clients.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::io::Errno;

use super::log::{RollingLog, Tail};
use super::outbox::Outbox;
use super::wire::receive_some;
use crate::limits::{CONSOLE_BACKLOG_BYTES, REPLAY_BYTES};

/// Bytes towards the guest that may wait: a guest that reads nothing stops its clients, not the shim.
const TO_GUEST_BYTES: usize = 64 << 10;

/// One console.
#[derive(Debug)]
pub(crate) struct Console {
    pub(crate) alias: String,
    /// Our end; nothing when the program closed its own.
    socket: Option<OwnedFd>,
    log: RollingLog,
    replay: Tail,
    to_guest: Outbox,
    clients: Vec<ConsoleClient>,
}

#[derive(Debug)]
struct ConsoleClient {
    socket: OwnedFd,
    outbox: Outbox,
}

impl Console {
    pub(crate) fn new(alias: String, socket: OwnedFd, log: RollingLog) -> Self {
        let (replay, to_guest) = (Tail::new(REPLAY_BYTES), Outbox::default());
        Self { alias, socket: Some(socket), log, replay, to_guest, clients: Vec::new() }
    }

    /// Takes a client over. `first` goes out before anything else.
    pub(crate) fn attach(&mut self, socket: OwnedFd, first: Vec<u8>, replay: bool) {
        let mut outbox = Outbox::default();
        outbox.push(first, Vec::new());
        if replay {
            outbox.push(self.replay.to_vec(), Vec::new());
        }
        self.clients.push(ConsoleClient { socket, outbox });
        self.flush();
    }

    pub(crate) fn client_count(&self) -> usize {
        self.clients.len()
    }

    /// The program's side: its descriptor, and whether something waits to go there.
    pub(crate) fn guest(&self) -> Option<(BorrowedFd<'_>, bool)> {
        self.socket.as_ref().map(|socket| (socket.as_fd(), self.to_guest.len() > 0))
    }

    /// The clients' sides: descriptor, whether to read, whether something waits to go there.
    pub(crate) fn sides(&self) -> impl Iterator<Item = (BorrowedFd<'_>, bool, bool)> {
        let room = self.to_guest.len() < TO_GUEST_BYTES;
        self.clients.iter().map(move |client| (client.socket.as_fd(), room, client.outbox.len() > 0))
    }

    /// Moves bytes both ways, as far as nobody blocks.
    pub(crate) fn pump(&mut self, buffer: &mut [u8]) {
        self.take_from_guest(buffer);
        self.take_from_clients(buffer);
        self.flush();
    }

    fn take_from_guest(&mut self, buffer: &mut [u8]) {
        let Some(socket) = &self.socket else { return };
        match receive_some(socket.as_fd(), buffer) {
            Ok((0, _)) => self.socket = None,
            Ok((count, _)) => {
                let bytes = buffer.get(..count).unwrap_or_default();
                self.log.write(bytes);
                self.replay.push(bytes);
                for client in &mut self.clients {
                    client.outbox.push(bytes.to_vec(), Vec::new());
                }
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.socket = None,
        }
    }

    fn take_from_clients(&mut self, buffer: &mut [u8]) {
        let to_guest = &mut self.to_guest;
        self.clients.retain(|client| {
            if to_guest.len() >= TO_GUEST_BYTES {
                return true;
            }
            match receive_some(client.socket.as_fd(), buffer) {
                Ok((0, _)) => false,
                Ok((count, _)) => {
                    to_guest.push(buffer.get(..count).unwrap_or_default().to_vec(), Vec::new());
                    true
                }
                Err(error) => matches!(error, Errno::AGAIN | Errno::INTR),
            }
        });
    }

    /// Sends what can be sent; a client that is gone or too slow is let go.
    pub(crate) fn flush(&mut self) {
        if let Some(socket) = &self.socket
            && self.to_guest.flush(socket.as_fd()).is_err()
        {
            self.to_guest = Outbox::default();
        }
        self.clients.retain_mut(|client| {
            let alive = client.outbox.flush(client.socket.as_fd()).is_ok();
            alive && client.outbox.len() <= CONSOLE_BACKLOG_BYTES
        });
    }

    /// Takes what the program wrote last. Reads until there is no more.
    pub(crate) fn drain(&mut self, buffer: &mut [u8]) {
        while self.socket.is_some() {
            let before = self.replay_mark();
            self.take_from_guest(buffer);
            if self.replay_mark() == before {
                break;
            }
        }
        self.flush();
    }

    fn replay_mark(&self) -> (bool, u64) {
        (self.socket.is_some(), self.log.written())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::pair;
    use crate::limits::LOG_MAX_BYTES;
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;

    fn console() -> (Console, UnixStream, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let log = RollingLog::open(directory.path().join("log"), LOG_MAX_BYTES).unwrap();
        let (ours, guest) = pair().unwrap();
        (Console::new("serial0".into(), ours, log), guest.into(), directory)
    }

    fn client(console: &mut Console, replay: bool) -> UnixStream {
        let (ours, theirs) = pair().unwrap();
        console.attach(ours, b"!".to_vec(), replay);
        theirs.into()
    }

    fn read(stream: &mut UnixStream, count: usize) -> String {
        let mut bytes = vec![0; count];
        stream.read_exact(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn bytes_reach_all_clients_the_log_and_the_guest() {
        let (mut console, mut guest, directory) = console();
        let mut buffer = [0; 1024];
        guest.write_all(b"early ").unwrap();
        console.pump(&mut buffer);
        let (mut first, mut second) = (client(&mut console, true), client(&mut console, false));
        guest.write_all(b"late").unwrap();
        console.pump(&mut buffer);
        assert_eq!((read(&mut first, 11), read(&mut second, 5)), ("!early late".into(), "!late".into()));
        second.write_all(b"typed").unwrap();
        console.pump(&mut buffer);
        assert_eq!(read(&mut guest, 5), "typed");
        assert_eq!(std::fs::read_to_string(directory.path().join("log")).unwrap(), "early late");
        drop(first);
        console.pump(&mut buffer);
        assert_eq!(console.client_count(), 1);
    }

    #[test]
    fn slow_client_is_dropped_and_the_guest_goes_on() {
        let (mut console, mut guest, _directory) = console();
        let mut buffer = vec![0; 64 << 10];
        let _slow = client(&mut console, false);
        for _ in 0..200 {
            guest.write_all(&[b'x'; 8 << 10]).unwrap();
            console.pump(&mut buffer);
        }
        assert_eq!(console.client_count(), 0);
        assert_eq!(console.replay.to_vec().len(), REPLAY_BYTES);
    }

    #[test]
    fn last_words_are_taken_after_the_guest_closed() {
        let (mut console, mut guest, _directory) = console();
        guest.write_all(&[b'z'; 5000]).unwrap();
        drop(guest);
        console.drain(&mut [0; 512]);
        assert_eq!(console.replay.to_vec().len(), 5000);
        assert!(console.guest().is_none());
    }
}
