//! Streams: bytes beside the calls, each by the serial of the call that opened it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hostler_rpc::error::RpcError;
use hostler_rpc::frame::{Frame, Header, STREAM_PIECE_BYTES, Status};
use hostler_rpc::xdr::encode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use crate::client::Client;
use crate::connection::send;

/// Streams of one client at once.
const STREAMS: usize = 64;
/// Pieces from a client that wait to be written.
const PIECES: usize = 4;

/// What a client sends on a stream.
pub(crate) enum Piece {
    /// Bytes.
    Data(Vec<u8>),
    /// Its end, good or not.
    End,
}

/// What is at our end of a stream.
pub(crate) enum StreamBody {
    /// A guest's console: bytes both ways.
    Console(UnixStream),
    /// Bytes that are read from a file to its end.
    File(std::fs::File),
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
    pub(crate) async fn take(&self, frame: Frame) {
        let sender = match frame.header.status {
            Status::More => self.lock().get(&frame.header.serial).cloned(),
            _ => self.lock().remove(&frame.header.serial),
        };
        let piece = match frame.header.status {
            Status::More => Piece::Data(frame.payload),
            _ => Piece::End,
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
        let copied = match self {
            Self::Console(console) => copy_both_ways(client, header, console, &mut pieces).await,
            Self::File(file) => copy_out(client, header, file, &mut pieces).await,
        };
        match copied {
            Ok(Ended::ByClient) => send(client, Header { status: Status::Good, ..header }, Vec::new()).await,
            Ok(Ended::ByUs) => finish(client, header, &mut pieces).await,
            Ok(Ended::Gone) => {}
            Err(error) => {
                let error = RpcError::new(
                    hostler_rpc::codes::ERR_SYSTEM_ERROR,
                    hostler_rpc::codes::FROM_STREAMS,
                    format!("the stream broke: {error}"),
                );
                let payload = encode(&error).unwrap_or_default();
                send(client, Header { status: Status::Failed, ..header }, payload).await;
            }
        }
    }
}

/// Who ended a stream.
enum Ended {
    ByClient,
    ByUs,
    Gone,
}

/// Tells the client that there is no more, and answers when it says that it has seen that.
async fn finish(client: &Client, header: Header, pieces: &mut mpsc::Receiver<Piece>) {
    send(client, Header { status: Status::More, ..header }, Vec::new()).await;
    while let Some(piece) = pieces.recv().await {
        if matches!(piece, Piece::End) {
            return send(client, Header { status: Status::Good, ..header }, Vec::new()).await;
        }
    }
}

async fn copy_both_ways(
    client: &Client,
    header: Header,
    console: UnixStream,
    pieces: &mut mpsc::Receiver<Piece>,
) -> std::io::Result<Ended> {
    let (mut from_guest, mut to_guest) = console.into_split();
    let mut buffer = vec![0; STREAM_PIECE_BYTES];
    loop {
        tokio::select! {
            read = from_guest.read(&mut buffer) => match read {
                // A guest that has ended has let go of its console.
                Ok(0) | Err(_) => return Ok(Ended::ByUs),
                Ok(length) => {
                    let data = buffer.get(..length).unwrap_or_default().to_vec();
                    send(client, Header { status: Status::More, ..header }, data).await;
                }
            },
            piece = pieces.recv() => match piece {
                Some(Piece::Data(data)) => {
                    if to_guest.write_all(&data).await.is_err() {
                        return Ok(Ended::ByUs);
                    }
                }
                Some(Piece::End) => return Ok(Ended::ByClient),
                None => return Ok(Ended::Gone),
            },
        }
    }
}

async fn copy_out(
    client: &Client,
    header: Header,
    file: std::fs::File,
    pieces: &mut mpsc::Receiver<Piece>,
) -> std::io::Result<Ended> {
    let mut file = Some(file);
    loop {
        let Some(mut reading) = file.take() else { return Ok(Ended::Gone) };
        let read = tokio::task::spawn_blocking(move || {
            let mut data = vec![0; STREAM_PIECE_BYTES];
            let length = std::io::Read::read(&mut reading, &mut data)?;
            data.truncate(length);
            Ok::<_, std::io::Error>((reading, data))
        });
        let (reading, data) = read.await.map_err(std::io::Error::other)??;
        if data.is_empty() {
            return Ok(Ended::ByUs);
        }
        file = Some(reading);
        send(client, Header { status: Status::More, ..header }, data).await;
        match pieces.try_recv() {
            Ok(Piece::End) => return Ok(Ended::ByClient),
            Err(mpsc::error::TryRecvError::Disconnected) => return Ok(Ended::Gone),
            _ => {}
        }
    }
}
