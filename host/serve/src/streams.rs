//! Streams: bytes beside the calls, each by the serial of the call that opened it.

mod sparse;

use std::collections::HashMap;
use std::future::Future;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::frame::{Frame, FrameKind, Header, STREAM_PIECE_BYTES, Status};
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
    /// So many bytes that are zero; nothing when it does not say how many.
    Hole(Option<u64>),
    /// Its end: all is there.
    Finish,
    /// Its end: it is given up.
    GiveUp,
}

/// What a stream comes to.
pub(crate) type Outcome = Pin<Box<dyn Future<Output = Result<(), RpcError>> + Send>>;

/// What is at our end of a stream.
pub(crate) enum StreamBody {
    /// A guest's console: bytes both ways.
    Console(UnixStream),
    /// Bytes that are read from a file to its end.
    File(std::fs::File),
    /// Whoever is given a place to write to.
    Out(Box<dyn FnOnce(Box<dyn Write + Send>) -> Outcome + Send>),
    /// The same, for a client that is told where zeros are.
    SparseOut(Box<dyn FnOnce(Box<dyn Write + Send>) -> Outcome + Send>),
    /// Whoever is given a place to read from; what comes of it is told to the client at the end.
    In(Box<dyn FnOnce(Box<dyn Read + Send>) -> Outcome + Send>),
    /// The same, for a client that says where zeros are: so many of them at most.
    SparseIn(u64, Box<dyn FnOnce(Box<dyn Read + Send>) -> Outcome + Send>),
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
            Status::More if frame.header.kind == FrameKind::StreamHole => {
                Piece::Hole(sparse::read_hole(&frame.payload))
            }
            Status::More => Piece::Data(frame.payload, Some(share)),
            Status::Good => Piece::Finish,
            Status::Failed => Piece::GiveUp,
        };
        if let Some(sender) = sender {
            sender.send(piece).await.ok();
        }
    }

    /// Whether there is one.
    pub(crate) fn are_open(&self) -> bool {
        !self.lock().is_empty()
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
            Self::Out(start) => {
                write_out(client, header, Box::new(|to| start(Box::new(to))), &mut pieces).await
            }
            Self::SparseOut(start) => {
                let start: Start = Box::new(move |to| start(Box::new(sparse::Outgoing::new(to))));
                write_out(client, header, start, &mut pieces).await
            }
            Self::In(start) => take_in(start, pieces, 0).await,
            Self::SparseIn(zeros, start) => take_in(start, pieces, zeros).await,
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

/// Lets what the client sends be read, with so many zeros at most that it does not send.
async fn take_in(
    start: Box<dyn FnOnce(Box<dyn Read + Send>) -> Outcome + Send>,
    pieces: mpsc::Receiver<Piece>,
    zeros: u64,
) -> Result<Ended, RpcError> {
    let given_up = Arc::new(AtomicBool::new(false));
    match start(Box::new(Incoming::new(pieces, Arc::clone(&given_up), zeros))).await {
        // Whoever gives a stream up wants to hear that it was, and not what that led to.
        Err(_) if given_up.load(Ordering::Acquire) => Ok(Ended::ByClient),
        outcome => outcome.map(|()| Ended::ByClient),
    }
}

/// Copies a file to where it is to go.
fn copying(mut file: std::fs::File) -> Start {
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
        if !matches!(piece, Piece::Data(..) | Piece::Hole(_)) {
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
                // A console has none.
                Some(Piece::Hole(_)) => {}
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
    start: Start,
    pieces: &mut mpsc::Receiver<Piece>,
) -> Result<Ended, RpcError> {
    let (sender, mut written) = mpsc::channel(PIECES);
    let outcome = tokio::spawn(start(Outgoing { sender }));
    loop {
        tokio::select! {
            data = written.recv() => match data {
                Some(Written::Data(data)) => {
                    send(client, Header { status: Status::More, ..header }, data).await;
                }
                Some(Written::Hole(length)) => {
                    let kind = FrameKind::StreamHole;
                    let hole = sparse::hole(length);
                    send(client, Header { status: Status::More, kind, ..header }, hole).await;
                }
                // Nobody writes any more: how it went is known.
                None => break,
            },
            piece = pieces.recv() => match piece {
                Some(Piece::Data(..) | Piece::Hole(_)) => {}
                // Whoever writes is told by its next write.
                Some(Piece::Finish | Piece::GiveUp) => return Ok(Ended::ByClient),
                None => return Ok(Ended::Gone),
            },
        }
    }
    outcome.await.map_err(|error| broken(&io::Error::other(error)))??;
    Ok(finish(client, header, pieces).await)
}

/// What begins to write to the client.
type Start = Box<dyn FnOnce(Outgoing) -> Outcome + Send>;

/// A piece that goes to a client.
#[derive(Debug, PartialEq, Eq)]
enum Written {
    Data(Vec<u8>),
    /// So many zeros.
    Hole(u64),
}

/// A place to write to, for whoever blocks: pieces go to the client.
struct Outgoing {
    sender: mpsc::Sender<Written>,
}

impl Outgoing {
    fn send(&self, piece: Written) -> io::Result<()> {
        self.sender.blocking_send(piece).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Outgoing {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let piece = data.get(..data.len().min(STREAM_PIECE_BYTES)).unwrap_or_default();
        self.send(Written::Data(piece.to_vec())).map(|()| piece.len())
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
    /// Zeros that come before anything else.
    zeros: u64,
    /// Zeros that may still come without being sent.
    zeros_left: u64,
    share: Option<Share>,
    ended: bool,
    given_up: Arc<AtomicBool>,
}

impl Incoming {
    fn new(pieces: mpsc::Receiver<Piece>, given_up: Arc<AtomicBool>, zeros_left: u64) -> Self {
        Self { pieces, rest: Vec::new(), at: 0, share: None, zeros: 0, zeros_left, ended: false, given_up }
    }

    /// A gap costs a client nothing, so that all of them together are no longer than what they are for.
    fn take_hole(&mut self, length: Option<u64>) -> io::Result<()> {
        let left = length.and_then(|length| self.zeros_left.checked_sub(length));
        self.zeros_left = left.ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "a gap reaches behind the end, or none was to come")
        })?;
        self.zeros = length.unwrap_or(0);
        Ok(())
    }
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.rest.len() && self.zeros == 0 && !self.ended {
            match self.pieces.blocking_recv() {
                Some(Piece::Data(data, share)) => (self.rest, self.at, self.share) = (data, 0, share),
                Some(Piece::Hole(length)) => self.take_hole(length)?,
                Some(Piece::Finish) => self.ended = true,
                last => {
                    self.given_up.store(last.is_some(), Ordering::Release);
                    return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the client gave it up"));
                }
            }
        }
        if self.zeros > 0 {
            let most = usize::try_from(self.zeros).unwrap_or(usize::MAX).min(buffer.len());
            buffer.iter_mut().take(most).for_each(|byte| *byte = 0);
            self.zeros = self.zeros.saturating_sub(u64::try_from(most).unwrap_or(u64::MAX));
            return Ok(most);
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
            let mut incoming = Incoming::new(pieces, Arc::clone(&given_up), 0);
            assert_eq!(incoming.read_to_end(&mut read).is_ok(), whole);
            assert_eq!(read, b"abc");
            assert_eq!(given_up.load(Ordering::Acquire), last_gives_up);
        }
    }

    #[test]
    fn gaps_are_zeros_and_no_more_of_them_than_may_come() {
        let read = |holes: &[Option<u64>], most: u64| {
            let (sender, pieces) = mpsc::channel(PIECES);
            sender.try_send(Piece::Data(b"a".to_vec(), None)).unwrap();
            holes.iter().for_each(|hole| sender.try_send(Piece::Hole(*hole)).unwrap());
            sender.try_send(Piece::Finish).unwrap();
            let mut read = Vec::new();
            Incoming::new(pieces, Arc::default(), most).read_to_end(&mut read).map(|_| read)
        };
        assert_eq!(read(&[Some(2), Some(1)], 3).unwrap(), b"a\0\0\0");
        for (holes, most) in [(&[Some(4)][..], 3), (&[Some(2), Some(2)], 3), (&[None], 3), (&[Some(1)], 0)] {
            assert_eq!(read(holes, most).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn whoever_writes_for_nobody_is_told() {
        let (sender, mut written) = mpsc::channel(PIECES);
        let mut outgoing = Outgoing { sender };
        outgoing.write_all(b"abc").unwrap();
        assert_eq!(written.try_recv().unwrap(), Written::Data(b"abc".to_vec()));
        drop(written);
        assert_eq!(outgoing.write(b"d").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
