//! Connections to shims, and those that wait to be used again.
//!
//! Whoever makes a call has a connection to itself until it is answered, so that calls never wait for each other. One that
//! was answered as it should be is kept for the next call of this process to the same shim; one on which anything else
//! happened is closed, so that an answer that comes too late is nobody's. Nobody who waits for a connection holds another
//! one that waits for nothing: what a shim can have of clients is not used up by them.

use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::protocol::{Call, Request};
use super::wire::Wire;

/// Shims to which a connection is kept: those that were asked last. Each costs a descriptor here, and one there.
const SPARES_MAX: usize = 64;

/// What waits, in the order in which it was used last. At most one for each shim, which others want to connect to as well.
static SPARES: Mutex<Vec<Connection>> = Mutex::new(Vec::new());

/// Which socket it is that has a name: a shim's is made with it, and goes before it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SocketId {
    device: u64,
    inode: u64,
    /// An inode may be another file's by now.
    changed: (i64, i64),
}

impl SocketId {
    fn at(path: &Path) -> io::Result<Self> {
        let facts = std::fs::metadata(path)?;
        let changed = (facts.ctime(), facts.ctime_nsec());
        Ok(Self { device: facts.dev(), inode: facts.ino(), changed })
    }
}

/// A connection that is in use.
#[derive(Debug)]
pub(crate) struct Connection {
    /// The socket's path, and which socket that was.
    path: PathBuf,
    socket: SocketId,
    wire: Wire,
    next: u64,
}

impl Connection {
    /// One that waits, or a new one.
    ///
    /// # Errors
    /// What connecting says.
    pub(crate) fn to(directory: &Path, name: &str, timeout: Duration) -> io::Result<Self> {
        let path = directory.join(name);
        if let Some(spare) = take(&path) {
            return Ok(spare);
        }
        // Looked at before: of one that has come in its place since, this one is never used again.
        let socket = SocketId::at(&path)?;
        Ok(Self { wire: Wire::connect(directory, name, timeout)?, path, socket, next: 0 })
    }

    /// Whether one waits on which the shim could be asked now: it is there then.
    pub(crate) fn is_kept(directory: &Path, name: &str) -> bool {
        take(&directory.join(name)).map(Self::keep).is_some()
    }

    /// Makes a call; the number that its answer will have.
    ///
    /// # Errors
    /// What sending says.
    pub(crate) fn send(&mut self, call: Call, fds: &[BorrowedFd<'_>], deadline: Instant) -> io::Result<u64> {
        let id = self.next;
        self.next += 1;
        let line = serde_json::to_vec(&Request { id, call })?;
        self.wire.send(&line, fds, deadline)?;
        Ok(id)
    }

    /// The next answer as its line.
    ///
    /// # Errors
    /// What receiving says.
    pub(crate) fn receive(&mut self, deadline: Instant) -> io::Result<Vec<u8>> {
        self.wire.receive(deadline)
    }

    /// The connection itself.
    pub(crate) fn into_wire(self) -> Wire {
        self.wire
    }

    /// Keeps it for the next call. Only for one on which every call was answered.
    pub(crate) fn keep(self) {
        let mut spares = spares();
        if spares.iter().any(|other| other.path == self.path) {
            return;
        }
        if spares.len() >= SPARES_MAX {
            spares.remove(0);
        }
        spares.push(self);
    }

    /// Whether it leads to the shim that has the name now, which is there and has nothing to say.
    fn is_good(&self) -> bool {
        SocketId::at(&self.path).is_ok_and(|socket| socket == self.socket) && self.wire.is_quiet()
    }
}

/// Takes the one that waits for this shim, if it is still good.
fn take(path: &Path) -> Option<Connection> {
    let mut spares = spares();
    let at = spares.iter().position(|spare| spare.path == path)?;
    let spare = spares.remove(at);
    drop(spares);
    spare.is_good().then_some(spare)
}

fn spares() -> MutexGuard<'static, Vec<Connection>> {
    SPARES.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::thread::JoinHandle;

    use hostler_state::RunDir;

    use super::*;
    use crate::shim::client::{SOCKET_NAME, ShimClient};
    use crate::shim::record::Ending;

    /// Answers so many calls for its status on one connection, then says this.
    fn served(listener: &UnixListener, calls: usize, last_words: &str) -> UnixStream {
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        for _ in 0..calls {
            let asked: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
            assert_eq!(asked["call"], "status");
            let status = serde_json::json!({"pid": 7, "started_unix_ms": 1, "cursor": 3, "ended": null});
            writeln!(stream, "{}", serde_json::json!({"id": asked["id"], "return": status})).unwrap();
        }
        stream.write_all(last_words.as_bytes()).unwrap();
        stream
    }

    fn shim(
        directory: &Path,
        serve: impl FnOnce(UnixListener) + Send + 'static,
    ) -> (ShimClient, JoinHandle<()>) {
        let listener = UnixListener::bind(directory.join(SOCKET_NAME)).unwrap();
        (ShimClient::of(&RunDir::open(directory).unwrap()), std::thread::spawn(move || serve(listener)))
    }

    fn directory() -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let run = root.path().join("run/00000000-0000-0000-0000-000000000009");
        std::fs::create_dir_all(&run).unwrap();
        (root, run)
    }

    #[test]
    fn connection_serves_one_call_after_another() {
        let (_root, run) = directory();
        let (client, served) = shim(&run, |listener| drop(served(&listener, 3, "")));
        for _ in 0..3 {
            assert_eq!(client.clone().status().unwrap().cursor, 3);
        }
        served.join().unwrap();
        assert!(!Connection::is_kept(&run, SOCKET_NAME), "it has ended");
    }

    #[test]
    fn connection_with_an_answer_to_nothing_is_not_used_again() {
        let (_root, run) = directory();
        let stray =
            "{\"id\":1,\"return\":{\"pid\":666,\"started_unix_ms\":1,\"cursor\":666,\"ended\":null}}\n";
        let (said, has_said) = std::sync::mpsc::channel();
        let (client, served) = shim(&run, move |listener| {
            let first = served(&listener, 1, stray);
            said.send(()).unwrap();
            served(&listener, 1, "");
            drop(first);
        });
        assert_eq!(client.status().unwrap().pid, 7);
        has_said.recv().unwrap();
        assert_eq!(client.status().unwrap().pid, 7);
        served.join().unwrap();
    }

    #[test]
    fn connection_on_which_nobody_answered_in_time_is_not_used_again() {
        let (_root, run) = directory();
        let (client, served) = shim(&run, |listener| {
            let (mut first, _) = listener.accept().unwrap();
            let mut line = String::new();
            BufReader::new(first.try_clone().unwrap()).read_line(&mut line).unwrap();
            served(&listener, 1, "");
            // Whoever it was for has given up.
            first.write_all(b"{\"id\":0,\"return\":{}}\n").ok();
        });
        let late = client.execute("query-status", None, &[], Duration::from_millis(50)).unwrap_err();
        assert_eq!(late.kind, crate::QmpErrorKind::TimedOut);
        assert_eq!(client.status().unwrap().pid, 7);
        served.join().unwrap();
    }

    #[test]
    fn connection_to_the_shim_before_is_not_used_for_the_next() {
        let (_root, run) = directory();
        let (done, end) = std::sync::mpsc::channel();
        let (client, first) = shim(&run, move |listener| {
            let stream = served(&listener, 1, "");
            // It goes on for a while although its socket is gone.
            end.recv().unwrap();
            drop(stream);
        });
        client.status().unwrap();
        assert!(Connection::is_kept(&run, SOCKET_NAME));
        std::fs::remove_file(run.join(SOCKET_NAME)).unwrap();
        let (client, second) = shim(&run, |listener| drop(served(&listener, 1, "")));
        assert_eq!(client.status().unwrap().ended, None::<Ending>);
        done.send(()).unwrap();
        first.join().unwrap();
        second.join().unwrap();
    }
}
