//! One connection: frames in, frames out, and what keeps one client from being a burden to the others.

use std::sync::Arc;
use std::time::Duration;

use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::frame::{Assembler, Frame, FrameKind, Header, Status};
use hostler_rpc::procedure::program;
use hostler_rpc::wire::ConnectClose;
use hostler_rpc::xdr::encode;
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;
use tokio::sync::Semaphore;

use crate::budget::Share;
use crate::client::{Client, Peer};
use crate::dispatch::{self, Answered};
use crate::outbox::outbox;
use crate::server::Server;

/// Calls of one client that are worked on at once. Whoever sends more is not read from meanwhile.
const WINDOW: usize = 5;
/// Bytes that are read at once.
const READ_BYTES: usize = 64 << 10;
/// How long a frame may take from its first byte to its last: half a frame is not kept for ever.
const FRAME_WAIT: Duration = Duration::from_secs(60);
/// How long a client that is let go may take for what it was sent.
const FAREWELL: Duration = Duration::from_secs(2);
/// The numbers of the signs of life.
const PING: i32 = 1;
const PONG: i32 = 2;

/// Serves a client until it goes, breaks the protocol, or this daemon ends.
pub(crate) async fn serve(server: Arc<Server>, socket: UnixStream, reads_only: bool) {
    let peer = match socket.peer_cred() {
        Ok(peer) => Peer { uid: peer.uid(), pid: peer.pid() },
        Err(error) => return tracing::warn!(%error, "a client without a name is not served"),
    };
    tracing::debug!(uid = peer.uid, pid = peer.pid, reads_only, "a client has come");
    let (reading, writing) = socket.into_split();
    let (outbox, outgoings) = outbox(&server.budget, peer.uid);
    let mut writer = tokio::spawn(outgoings.write_to(writing));
    let client = Arc::new(Client::new(Arc::clone(&server), peer, reads_only, outbox));
    server.hub.watch(&client);
    let ended = tokio::select! {
        read = read_frames(&client, reading) => read,
        () = client.outbox.closed() => Ok(()),
        () = server.stopping() => Ok(()),
        // It takes nothing any more.
        _ = &mut writer => Ok(()),
    };
    if let Err(error) = ended {
        tracing::debug!(uid = peer.uid, error, "a client broke the protocol");
    }
    client.streams.end_all();
    client.callbacks.forget_all();
    client.outbox.close();
    if !writer.is_finished() && tokio::time::timeout(FAREWELL, &mut writer).await.is_err() {
        writer.abort();
    }
}

/// Reads frames and sees to each, until the client goes.
async fn read_frames(client: &Arc<Client>, mut socket: OwnedReadHalf) -> Result<(), String> {
    let window = Arc::new(Semaphore::new(WINDOW));
    let mut assembler = Assembler::default();
    let mut half = client.outbox.account().take(0);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let read = socket.read(&mut buffer);
        let length = match assembler.is_within_a_frame() {
            true => tokio::time::timeout(FRAME_WAIT, read).await.map_err(|_| "half a frame".to_owned())?,
            false => read.await,
        };
        let length = length.map_err(|error| error.to_string())?;
        if length == 0 {
            return Ok(());
        }
        assembler.push(buffer.get(..length).unwrap_or_default());
        while let Some(frame) = assembler.next_frame().map_err(|error| error.to_string())? {
            half.resize(assembler.held_bytes());
            let share = client.outbox.account().take(frame.payload.len());
            see_to(client, &window, frame, share).await?;
        }
        half.resize(assembler.held_bytes());
    }
}

async fn see_to(
    client: &Arc<Client>,
    window: &Arc<Semaphore>,
    frame: Frame,
    share: Share,
) -> Result<(), String> {
    match frame.header.kind {
        FrameKind::Call => {
            // Waiting here, nothing more is read from this client.
            let Ok(turn) = Arc::clone(window).acquire_owned().await else { return Ok(()) };
            let client = Arc::clone(client);
            // A change that has begun is finished, whether or not anybody waits for the answer.
            let server = Arc::clone(&client.server);
            server.work(async move {
                let answered = dispatch::answer(&client, &frame).await;
                drop(share);
                reply(&client, &frame.header, answered, turn).await;
            });
            Ok(())
        }
        FrameKind::Stream => {
            client.streams.take(frame, share).await;
            Ok(())
        }
        FrameKind::Event if frame.header.program == program::KEEPALIVE => {
            if frame.header.procedure == PING {
                let header = Header { procedure: PONG, ..frame.header };
                send(client, header, Vec::new()).await;
            }
            Ok(())
        }
        other => Err(format!("a client sends no {other:?}")),
    }
}

async fn reply(
    client: &Arc<Client>,
    call: &Header,
    answered: Result<Answered, RpcError>,
    turn: tokio::sync::OwnedSemaphorePermit,
) {
    let header = Header { kind: FrameKind::Reply, ..*call };
    // A client may write to its stream as soon as it has the answer.
    let opened = answered.and_then(|Answered { payload, stream }| match stream {
        None => Ok((payload, None)),
        Some(body) => match client.streams.open(call) {
            Some(pieces) => Ok((payload, Some((pieces, body)))),
            None => {
                Err(RpcError::new(codes::ERR_RESOURCE_BUSY, codes::FROM_STREAMS, "too many streams are open"))
            }
        },
    });
    let (status, payload, stream) = match opened {
        Ok((payload, stream)) => (Status::Good, payload, stream),
        Err(error) => (Status::Failed, encode(&error).unwrap_or_default(), None),
    };
    match (Frame { header: Header { status, ..header }, payload }).to_bytes() {
        Ok(bytes) => client.outbox.send(bytes, Some(turn)).await,
        Err(error) => {
            tracing::error!(%error, "an answer is too long to be sent");
            client.outbox.close();
        }
    }
    if (call.program, call.procedure) == (ConnectClose::PROGRAM, ConnectClose::NUMBER) {
        client.outbox.close();
    }
    if let Some((pieces, body)) = stream {
        let client = Arc::clone(client);
        let header = Header { kind: FrameKind::Stream, ..*call };
        let server = Arc::clone(&client.server);
        server.work(async move { body.run(&client, header, pieces).await });
    }
}

/// Sends a frame of ours.
pub(crate) async fn send(client: &Client, header: Header, payload: Vec<u8>) {
    match (Frame { header, payload }).to_bytes() {
        Ok(bytes) => client.outbox.send(bytes, None).await,
        Err(error) => tracing::error!(%error, "a frame is too long to be sent"),
    }
}
