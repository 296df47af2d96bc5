//! Streams: bytes beside the calls, each by the serial of the call that opened it.

use std::collections::HashMap;
use std::future::Future;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::frame::{Frame, Header, STREAM_PIECE_BYTES, Status};
use hostler_rpc::xdr::encode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use crate::budget::Share;
use crate::client::Client;
use crate::connection::send;

/// Streams of one client at once.
const STREAMS: usize = 64;
/// Pieces from a client that wait to be written.
const PIECES: usize = 4;

/// What a client sends on a stream.
pub(crate) enum Piece {
    /// Bytes, with what they take of the budget.
    Data(Vec<u8>, Option<Share>),
    /// Its end: all is there.
    Finish,
    /// Its end: it is given up.
    GiveUp,
}

/// What a stream comes to.
type Outcome = Pin<Box<dyn Future<Output = Result<(), RpcError>> + Send>>;

/// What is at our end of a stream.
pub(crate) enum StreamBody {
    /// A guest's console: bytes both ways.
    Console(UnixStream),
    /// Bytes that are read from a file to its end.
    File(std::fs::File),
    /// Whoever is given a place to write to.
    Out(Box<dyn FnOnce(Box<dyn Write + Send>) -> Outcome + Send>),
    /// Whoever is given a place to read from; what comes of it is told to the client at the end.
    In(Box<dyn FnOnce(Box<dyn Read + Send>) -> Outcome + Send>),
}

/// The streams of a client.
#[derive(Default)]
pub(crate) struct Streams {
    open: Mutex<HashMap<u32, mpsc::Sender<Piece>>>,
}

impl Streams {
    fn lock(&self) -> MutexGuard<'_, HashMap<u32, mpsc::Sender<Piece>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the stream of a call; nothing for a client that has too many.
    pub(crate) fn open(&self, call: &Header) -> Option<mpsc::Receiver<Piece>> {
        let mut open = self.lock();
        if open.len() >= STREAMS {
            return None;
        }
        let (sender, receiver) = mpsc::channel(PIECES);
        open.insert(call.serial, sender);
        Some(receiver)
    }

    /// Takes a frame of a stream. One of a stream that has ended is nobody's.
    pub(crate) async fn take(&self, frame: Frame, share: Share) {
        let sender = match frame.header.status {
            Status::More => self.lock().get(&frame.header.serial).cloned(),
            _ => self.lock().remove(&frame.header.serial),
        };
        let piece = match frame.header.status {
            Status::More => Piece::Data(frame.payload, Some(share)),
            Status::Good => Piece::Finish,
            Status::Failed => Piece::GiveUp,
        };
        if let Some(sender) = sender {
            sender.send(piece).await.ok();
        }
    }

    /// Ends all of them.
    pub(crate) fn end_all(&self) {
        self.lock().clear();
    }
}

impl StreamBody {
    /// Carries bytes until either side ends it.
    pub(crate) async fn run(self, client: &Client, header: Header, mut pieces: mpsc::Receiver<Piece>) {
        let ended = match self {
            Self::Console(console) => copy_both_ways(client, header, console, &mut pieces).await,
            Self::File(file) => write_out(client, header, copying(file), &mut pieces).await,
            Self::Out(start) => write_out(client, header, start, &mut pieces).await,
            Self::In(start) => {
                let given_up = Arc::new(AtomicBool::new(false));
                let outcome = start(Box::new(Incoming::new(pieces, Arc::clone(&given_up)))).await;
                match outcome {
                    // Whoever gives a stream up wants to hear that it was, and not what that led to.
                    Err(_) if given_up.load(Ordering::Acquire) => Ok(Ended::ByClient),
                    outcome => outcome.map(|()| Ended::ByClient),
                }
            }
        };
        match ended {
            Ok(Ended::ByClient) => send(client, Header { status: Status::Good, ..header }, Vec::new()).await,
            Ok(Ended::Gone) => {}
            Err(error) => {
                let payload = encode(&error).unwrap_or_default();
                send(client, Header { status: Status::Failed, ..header }, payload).await;
            }
        }
    }
}

/// Copies a file to where it is to go.
fn copying(mut file: std::fs::File) -> Box<dyn FnOnce(Box<dyn Write + Send>) -> Outcome + Send> {
    Box::new(move |mut to| {
        Box::pin(async move {
            let copied = tokio::task::spawn_blocking(move || io::copy(&mut file, &mut to));
            let copied = copied.await.map_err(io::Error::other).and_then(|copied| copied);
            copied.map(drop).map_err(|error| broken(&error))
        })
    })
}

fn broken(error: &io::Error) -> RpcError {
    RpcError::new(codes::ERR_SYSTEM_ERROR, codes::FROM_STREAMS, format!("the stream broke: {error}"))
}

/// Who ended a stream.
enum Ended {
    /// The client, or we, and the client has seen that.
    ByClient,
    /// There is nobody any more.
    Gone,
}

/// Tells the client that there is no more, and waits until it says that it has seen that.
async fn finish(client: &Client, header: Header, pieces: &mut mpsc::Receiver<Piece>) -> Ended {
    send(client, Header { status: Status::More, ..header }, Vec::new()).await;
    while let Some(piece) = pieces.recv().await {
        if !matches!(piece, Piece::Data(..)) {
            return Ended::ByClient;
        }
    }
    Ended::Gone
}

async fn copy_both_ways(
    client: &Client,
    header: Header,
    console: UnixStream,
    pieces: &mut mpsc::Receiver<Piece>,
) -> Result<Ended, RpcError> {
    let (mut from_guest, mut to_guest) = console.into_split();
    let mut buffer = vec![0; STREAM_PIECE_BYTES];
    loop {
        tokio::select! {
            read = from_guest.read(&mut buffer) => match read {
                // A guest that has ended has let go of its console.
                Ok(0) | Err(_) => return Ok(finish(client, header, pieces).await),
                Ok(length) => {
                    let data = buffer.get(..length).unwrap_or_default().to_vec();
                    send(client, Header { status: Status::More, ..header }, data).await;
                }
            },
            piece = pieces.recv() => match piece {
                Some(Piece::Data(data, _share)) => {
                    if to_guest.write_all(&data).await.is_err() {
                        return Ok(finish(client, header, pieces).await);
                    }
                }
                Some(Piece::Finish | Piece::GiveUp) => return Ok(Ended::ByClient),
                None => return Ok(Ended::Gone),
            },
        }
    }
}

/// Sends what is written, until all of it is, or the client wants no more.
async fn write_out(
    client: &Client,
    header: Header,
    start: Box<dyn FnOnce(Box<dyn Write + Send>) -> Outcome + Send>,
    pieces: &mut mpsc::Receiver<Piece>,
) -> Result<Ended, RpcError> {
    let (sender, mut written) = mpsc::channel(PIECES);
    let outcome = tokio::spawn(start(Box::new(Outgoing { sender })));
    loop {
        tokio::select! {
            data = written.recv() => match data {
                Some(data) => send(client, Header { status: Status::More, ..header }, data).await,
                // Nobody writes any more: how it went is known.
                None => break,
            },
            piece = pieces.recv() => match piece {
                Some(Piece::Data(..)) => {}
                // Whoever writes is told by its next write.
                Some(Piece::Finish | Piece::GiveUp) => return Ok(Ended::ByClient),
                None => return Ok(Ended::Gone),
            },
        }
    }
    outcome.await.map_err(|error| broken(&io::Error::other(error)))??;
    Ok(finish(client, header, pieces).await)
}

/// A place to write to, for whoever blocks: pieces go to the client.
struct Outgoing {
    sender: mpsc::Sender<Vec<u8>>,
}

impl Write for Outgoing {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let piece = data.get(..data.len().min(STREAM_PIECE_BYTES)).unwrap_or_default();
        let sent = self.sender.blocking_send(piece.to_vec());
        sent.map(|()| piece.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A place to read from, for whoever blocks: pieces come from the client. One that is given up, or whose client has gone, is
/// no end but an error: what has come is not all there was to come.
struct Incoming {
    pieces: mpsc::Receiver<Piece>,
    rest: Vec<u8>,
    at: usize,
    share: Option<Share>,
    ended: bool,
    given_up: Arc<AtomicBool>,
}

impl Incoming {
    fn new(pieces: mpsc::Receiver<Piece>, given_up: Arc<AtomicBool>) -> Self {
        Self { pieces, rest: Vec::new(), at: 0, share: None, ended: false, given_up }
    }
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.rest.len() && !self.ended {
            match self.pieces.blocking_recv() {
                Some(Piece::Data(data, share)) => (self.rest, self.at, self.share) = (data, 0, share),
                Some(Piece::Finish) => self.ended = true,
                last => {
                    self.given_up.store(last.is_some(), Ordering::Release);
                    return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the client gave it up"));
                }
            }
        }
        let mut left = self.rest.get(self.at..).unwrap_or_default();
        let read = Read::read(&mut left, buffer)?;
        self.at += read;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_up_is_no_end() {
        let ends =
            [(Some(Piece::Finish), true, false), (Some(Piece::GiveUp), false, true), (None, false, false)];
        for (last, whole, last_gives_up) in ends {
            let (sender, pieces) = mpsc::channel(PIECES);
            sender.try_send(Piece::Data(b"ab".to_vec(), None)).unwrap();
            sender.try_send(Piece::Data(b"c".to_vec(), None)).unwrap();
            last.map(|last| sender.try_send(last).ok());
            drop(sender);
            let mut read = Vec::new();
            let given_up = Arc::new(AtomicBool::new(false));
            let mut incoming = Incoming::new(pieces, Arc::clone(&given_up));
            assert_eq!(incoming.read_to_end(&mut read).is_ok(), whole);
            assert_eq!(read, b"abc");
            assert_eq!(given_up.load(Ordering::Acquire), last_gives_up);
        }
    }

    #[test]
    fn whoever_writes_for_nobody_is_told() {
        let (sender, mut written) = mpsc::channel(PIECES);
        let mut outgoing = Outgoing { sender };
        outgoing.write_all(b"abc").unwrap();
        assert_eq!(written.try_recv().unwrap(), b"abc");
        drop(written);
        assert_eq!(outgoing.write(b"d").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
