//! What a client of this machine sends: bytes, and descriptors beside them.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use hostler_rpc::frame::DESCRIPTORS_MAX;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg};
use tokio::io::{AsyncRead, AsyncReadExt as _, Interest};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;

/// Descriptors that may wait for the frames that they belong to: no client sends those of the next call before the last
/// one is read, and one that only sends descriptors must not have them all.
const WAITING_MAX: usize = 2 * DESCRIPTORS_MAX;

/// The reading half of a connection.
pub(crate) trait Receive: Send {
    /// Reads some bytes; none when the client is gone. Descriptors that come with them are kept.
    ///
    /// # Errors
    /// What the connection says, and more descriptors than a client may send at once.
    fn read(&mut self, buffer: &mut [u8]) -> impl Future<Output = io::Result<usize>> + Send;

    /// The descriptors of the next frame that has any, which has come with all of its bytes.
    fn take(&mut self, count: usize) -> Option<Vec<OwnedFd>>;
}

/// One that leads to another machine, from where no descriptors come.
pub(crate) struct Remote<R>(pub(crate) R);

impl<R: AsyncRead + Send + Unpin> Receive for Remote<R> {
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).await
    }

    fn take(&mut self, count: usize) -> Option<Vec<OwnedFd>> {
        (count == 0).then(Vec::new)
    }
}

/// One of this machine.
pub(crate) struct Source {
    socket: OwnedReadHalf,
    waiting: VecDeque<OwnedFd>,
}

impl Source {
    pub(crate) fn new(socket: OwnedReadHalf) -> Self {
        Self { socket, waiting: VecDeque::new() }
    }
}

impl Receive for Source {
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.socket.readable().await?;
            let socket: &UnixStream = self.socket.as_ref();
            let (length, came) = match socket.try_io(Interest::READABLE, || receive(socket, buffer)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                received => received?,
            };
            self.waiting.extend(came);
            if self.waiting.len() > WAITING_MAX {
                return Err(io::Error::other("descriptors that belong to nothing"));
            }
            return Ok(length);
        }
    }

    fn take(&mut self, count: usize) -> Option<Vec<OwnedFd>> {
        (count <= self.waiting.len()).then(|| self.waiting.drain(..count).collect())
    }
}

/// One read with room for descriptors, which no program that is started here inherits.
fn receive(socket: &UnixStream, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(came) = message {
            descriptors.extend(came);
        }
    }
    if received.flags.contains(ReturnFlags::CTRUNC) {
        return Err(io::Error::other("more descriptors at once than there can be"));
    }
    Ok((received.bytes, descriptors))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{IoSlice, Write as _};
    use std::os::fd::AsFd as _;

    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

    use super::*;

    fn pair() -> (std::os::unix::net::UnixStream, Source) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (theirs.into_std().unwrap(), Source::new(ours.into_split().0))
    }

    /// One byte with descriptors, as clients send each.
    fn send(socket: &std::os::unix::net::UnixStream, file: &File, times: usize) {
        let descriptors = vec![file.as_fd(); times];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
        sendmsg(socket, &[IoSlice::new(&[0])], &mut control, SendFlags::empty()).unwrap();
    }

    #[tokio::test]
    async fn descriptors_come_in_order_beside_the_bytes() {
        let (mut client, mut source) = pair();
        let files: Vec<File> = (0..2).map(|_| tempfile::tempfile().unwrap()).collect();
        client.write_all(b"frame").unwrap();
        files.iter().for_each(|file| send(&client, file, 1));
        let (mut buffer, mut bytes) = ([0; 64], 0);
        assert!(source.take(2).is_none());
        while bytes < 7 {
            bytes += source.read(&mut buffer).await.unwrap();
        }
        for (came, file) in source.take(2).unwrap().into_iter().zip(&files) {
            use std::os::unix::fs::MetadataExt as _;
            assert_eq!(File::from(came).metadata().unwrap().ino(), file.metadata().unwrap().ino());
        }
        drop(client);
        assert_eq!(source.read(&mut buffer).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn client_that_only_sends_descriptors_is_not_followed() {
        let (client, mut source) = pair();
        let file = tempfile::tempfile().unwrap();
        (0..3).for_each(|_| send(&client, &file, DESCRIPTORS_MAX));
        let mut buffer = [0; 64];
        let error = loop {
            if let Err(error) = source.read(&mut buffer).await {
                break error;
            }
        };
        assert!(error.to_string().contains("belong to nothing"), "{error}");
    }
}
