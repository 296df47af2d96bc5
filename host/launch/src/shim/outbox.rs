//! Bytes and descriptors waiting to be sent on a socket that does not block.

use std::collections::VecDeque;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::io::Errno;

use super::wire::send_some;

/// Parcels grow to about this size before another is begun, in bytes.
const JOIN_BYTES: usize = 16 << 10;

/// What waits, in order.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queue: VecDeque<Parcel>,
    bytes: usize,
}

#[derive(Debug)]
struct Parcel {
    bytes: Vec<u8>,
    sent: usize,
    fds: Vec<OwnedFd>,
}

impl Outbox {
    /// Adds bytes; descriptors travel with their first.
    pub(crate) fn push(&mut self, bytes: Vec<u8>, fds: Vec<OwnedFd>) {
        self.bytes += bytes.len();
        // A guest writes letter by letter: one parcel each would cost far more than the letters.
        if let Some(last) = self.queue.back_mut()
            && last.fds.is_empty()
            && fds.is_empty()
            && last.bytes.len() < JOIN_BYTES
        {
            last.bytes.extend_from_slice(&bytes);
            return;
        }
        self.queue.push_back(Parcel { bytes, sent: 0, fds });
    }

    /// How many bytes wait.
    pub(crate) fn len(&self) -> usize {
        self.bytes
    }

    /// Sends what the socket takes now. An error means that the other side is gone.
    pub(crate) fn flush(&mut self, socket: BorrowedFd<'_>) -> Result<(), Errno> {
        while let Some(parcel) = self.queue.front_mut() {
            let rest = parcel.bytes.get(parcel.sent..).unwrap_or_default();
            if rest.is_empty() {
                self.queue.pop_front();
                continue;
            }
            let fds: Vec<BorrowedFd<'_>> = parcel.fds.iter().map(OwnedFd::as_fd).collect();
            match send_some(socket, rest, &fds) {
                Ok(sent) => {
                    parcel.fds.clear();
                    parcel.sent += sent;
                    self.bytes = self.bytes.saturating_sub(sent);
                }
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
