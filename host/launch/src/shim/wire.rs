//! Blocking lines over a unix socket, with descriptors and deadlines: the client's side.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recvmsg, sendmsg,
    socket_with,
};

use crate::limits::{LINE_MAX_BYTES, MESSAGE_FDS_MAX};
use crate::qmp::lines::Lines;

/// How much is read at once, in bytes.
pub(crate) const READ_BYTES: usize = 64 << 10;
/// Room for the descriptors of one message.
pub(crate) const ANCILLARY_BYTES: usize = rustix::cmsg_space!(ScmRights(MESSAGE_FDS_MAX));

/// Longer than any wait is meant: beyond it clocks could run over.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// The moment after `timeout`, however long that is.
pub(crate) fn after(timeout: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(timeout.min(FOREVER)).unwrap_or(now)
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Wire {
    socket: OwnedFd,
    lines: Lines,
    fds: Vec<OwnedFd>,
}

/// The address of `name` inside `directory`, however long its path is: through the open directory.
pub(crate) fn address_in(directory: &OwnedFd, name: &str) -> io::Result<SocketAddrUnix> {
    use std::os::fd::AsRawFd as _;
    Ok(SocketAddrUnix::new(format!("/proc/self/fd/{}/{name}", directory.as_raw_fd()))?)
}

/// Connects, for at most `timeout`: a listener whose queue is full makes one wait without end.
pub(crate) fn connect_within(address: &SocketAddrUnix, timeout: Duration) -> io::Result<OwnedFd> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // A timeout of zero would be none.
    set_socket_timeout(&socket, Timeout::Send, Some(timeout.max(Duration::from_millis(1))))?;
    connect(&socket, address).map_err(|error| match error {
        Errno::AGAIN => io::ErrorKind::TimedOut.into(),
        other => io::Error::from(other),
    })?;
    set_socket_timeout(&socket, Timeout::Send, None)?;
    Ok(socket)
}

/// Opens a directory only to name things below it.
pub(crate) fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    Ok(open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Wire {
    /// Connects to the socket `name` in `directory`.
    pub(crate) fn connect(directory: &Path, name: &str, timeout: Duration) -> io::Result<Self> {
        let directory = open_directory(directory)?;
        Ok(Self::over(connect_within(&address_in(&directory, name)?, timeout)?))
    }

    /// Over a socket that is connected already.
    pub(crate) fn over(socket: OwnedFd) -> Self {
        Self { socket, lines: Lines::new(LINE_MAX_BYTES), fds: Vec::new() }
    }

    /// Sends one line; the descriptors travel with its first byte.
    pub(crate) fn send(&mut self, line: &[u8], fds: &[BorrowedFd<'_>], deadline: Instant) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(line.len() + 1);
        bytes.extend_from_slice(line);
        bytes.push(b'\n');
        let (mut rest, mut fds) = (bytes.as_slice(), fds);
        while !rest.is_empty() {
            match send_some(self.socket.as_fd(), rest, fds) {
                Ok(sent) => (rest, fds) = (rest.get(sent..).unwrap_or_default(), &[]),
                Err(Errno::AGAIN) => self.ready(PollFlags::OUT, deadline)?,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Sends any number of descriptors ahead of the next line, as blanks, which JSON does not mind.
    pub(crate) fn send_fds(&mut self, fds: &[BorrowedFd<'_>], deadline: Instant) -> io::Result<()> {
        for some in fds.chunks(MESSAGE_FDS_MAX) {
            while let Err(error) = send_some(self.socket.as_fd(), b" ", some) {
                match error {
                    Errno::AGAIN => self.ready(PollFlags::OUT, deadline)?,
                    Errno::INTR => {}
                    error => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    /// The descriptors that came so far.
    pub(crate) fn take_fds(&mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.fds)
    }

    /// Whether nothing came that nobody has asked for, not even the end of it.
    pub(crate) fn is_quiet(&self) -> bool {
        let mut poll_fds = [PollFd::new(&self.socket, PollFlags::IN)];
        let silent = matches!(poll(&mut poll_fds, Some(&Timespec::default())), Ok(0));
        silent && self.lines.is_empty() && self.fds.is_empty()
    }

    /// The next line; `UnexpectedEof` when the other side closed, `TimedOut` at the deadline.
    pub(crate) fn receive(&mut self, deadline: Instant) -> io::Result<Vec<u8>> {
        self.receive_by(READ_BYTES, deadline)
    }

    /// The next line and not one byte more: what follows it is not ours.
    pub(crate) fn receive_exactly(mut self, deadline: Instant) -> io::Result<(Vec<u8>, OwnedFd)> {
        let line = self.receive_by(1, deadline)?;
        Ok((line, self.socket))
    }

    fn receive_by(&mut self, chunk: usize, deadline: Instant) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; chunk];
        loop {
            if let Some(line) = self.lines.pop().map_err(|_| io::ErrorKind::InvalidData)? {
                return Ok(line);
            }
            self.ready(PollFlags::IN, deadline)?;
            let (count, fds) = receive_some(self.socket.as_fd(), &mut buffer)?;
            self.fds.extend(fds);
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.lines.push(buffer.get(..count).unwrap_or_default());
        }
    }

    fn ready(&self, flags: PollFlags, deadline: Instant) -> io::Result<()> {
        let mut poll_fds = [PollFd::new(&self.socket, flags)];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: i64::MAX, tv_nsec: 0 });
            match poll(&mut poll_fds, Some(&timeout)) {
                Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Sends without waiting; returns how many bytes went.
pub(crate) fn send_some(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    fds: &[BorrowedFd<'_>],
) -> Result<usize, Errno> {
    let mut space = [MaybeUninit::uninit(); ANCILLARY_BYTES];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::INVAL);
    }
    sendmsg(socket, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)
}

/// Receives without waiting: bytes, and descriptors that came with them (closed on exec).
pub(crate) fn receive_some(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> Result<(usize, Vec<OwnedFd>), Errno> {
    let mut space = [MaybeUninit::uninit(); ANCILLARY_BYTES];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut ancillary, flags)?;
    let mut fds = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    Ok((received.bytes, fds))
}
