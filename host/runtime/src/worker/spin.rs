//! Looking for the other side's next message for a moment, before sleeping: both sides answer within microseconds, and
//! being woken takes tens of them.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;
use std::time::Instant;

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use crate::limits;

/// How long one message is looked for.
pub(crate) struct Spin {
    until: Option<Instant>,
}

impl Spin {
    /// Begins now, where there is a processor for the other side meanwhile.
    pub(crate) fn begin() -> Self {
        Self { until: several_processors().then(|| Instant::now() + limits::WORKER_SPIN) }
    }

    /// Sleeps at once.
    pub(crate) fn none() -> Self {
        Self { until: None }
    }

    /// What has come, or how the socket failed; none when it is time to sleep. Zero bytes are the end.
    pub(crate) fn receive(&mut self, socket: &UnixStream, room: &mut [u8]) -> Option<io::Result<usize>> {
        let until = self.until?;
        loop {
            match recv(socket, &mut *room, RecvFlags::DONTWAIT) {
                Ok((_, length)) => return Some(Ok(length)),
                // The other side may be waiting for this very processor.
                Err(Errno::AGAIN) if Instant::now() < until => std::thread::yield_now(),
                Err(Errno::AGAIN) => {
                    self.until = None;
                    return None;
                }
                Err(Errno::INTR) => {}
                Err(error) => return Some(Err(error.into())),
            }
        }
    }
}

fn several_processors() -> bool {
    static SEVERAL: OnceLock<bool> = OnceLock::new();
    *SEVERAL.get_or_init(|| std::thread::available_parallelism().is_ok_and(|count| count.get() > 1))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn what_has_come_is_taken_and_an_end_is_seen() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut room = [0; 8];
        assert!(Spin::none().receive(&ours, &mut room).is_none());
        let mut spin = Spin { until: Some(Instant::now()) };
        assert!(spin.receive(&ours, &mut room).is_none());
        theirs.write_all(b"abc").unwrap();
        assert!(spin.receive(&ours, &mut room).is_none(), "it has looked for long enough");
        let mut spin = Spin { until: Some(Instant::now()) };
        assert_eq!(spin.receive(&ours, &mut room).unwrap().unwrap(), 3);
        drop(theirs);
        assert_eq!(spin.receive(&ours, &mut room).unwrap().unwrap(), 0);
    }
}
