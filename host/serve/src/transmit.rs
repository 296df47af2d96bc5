//! What a client is sent: bytes, and descriptors behind them.

use std::future::Future;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::io::{AsyncWrite, AsyncWriteExt as _, Interest};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;

/// The writing half of a connection.
pub(crate) trait Transmit: Send {
    /// Writes a frame and the descriptors that belong to it, each with one byte of its own.
    ///
    /// # Errors
    /// What the connection says; descriptors for another machine.
    fn write(
        &mut self,
        bytes: &[u8],
        descriptors: Vec<OwnedFd>,
    ) -> impl Future<Output = io::Result<()>> + Send;
}

/// One that leads to another machine, where no descriptors go.
pub(crate) struct RemoteSink<W>(pub(crate) W);

impl<W: AsyncWrite + Send + Unpin> Transmit for RemoteSink<W> {
    async fn write(&mut self, bytes: &[u8], descriptors: Vec<OwnedFd>) -> io::Result<()> {
        if !descriptors.is_empty() {
            return Err(io::Error::other("descriptors for another machine"));
        }
        self.0.write_all(bytes).await?;
        // What is encrypted is only on its way when it is flushed.
        self.0.flush().await
    }
}

/// One of this machine.
pub(crate) struct Sink(pub(crate) OwnedWriteHalf);

impl Transmit for Sink {
    async fn write(&mut self, bytes: &[u8], descriptors: Vec<OwnedFd>) -> io::Result<()> {
        self.0.write_all(bytes).await?;
        for descriptor in descriptors {
            let socket: &UnixStream = self.0.as_ref();
            loop {
                socket.writable().await?;
                match socket.try_io(Interest::WRITABLE, || send(socket, &descriptor)) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    sent => break sent?,
                }
            }
        }
        Ok(())
    }
}

fn send(socket: &UnixStream, descriptor: &OwnedFd) -> io::Result<()> {
    let descriptors = [descriptor.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::other("no room for a descriptor"));
    }
    sendmsg(socket, &[IoSlice::new(&[0])], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Receive as _, Source};

    #[tokio::test]
    async fn descriptors_go_behind_their_frame_one_by_one() {
        use std::os::unix::fs::MetadataExt as _;
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (mut sink, mut source) = (Sink(ours.into_split().1), Source::new(theirs.into_split().0));
        let files: Vec<_> = (0..2).map(|_| tempfile::tempfile().unwrap()).collect();
        let copies = files.iter().map(|file| OwnedFd::from(file.try_clone().unwrap())).collect();
        sink.write(b"frame", copies).await.unwrap();
        let (mut buffer, mut bytes) = ([0; 64], 0);
        while bytes < 7 {
            bytes += source.read(&mut buffer).await.unwrap();
        }
        for (came, file) in source.take(2).unwrap().into_iter().zip(&files) {
            let came = std::fs::File::from(came).metadata().unwrap().ino();
            assert_eq!(came, file.metadata().unwrap().ino());
        }
    }

    #[tokio::test]
    async fn nothing_is_handed_to_another_machine() {
        let mut sink = RemoteSink(Vec::new());
        let file = OwnedFd::from(tempfile::tempfile().unwrap());
        assert!(sink.write(b"frame", vec![file]).await.is_err());
        sink.write(b"frame", Vec::new()).await.unwrap();
        assert_eq!(sink.0, b"frame");
    }
}
