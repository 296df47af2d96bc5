//! One connection: frames in, frames out, and what keeps one client from being a burden to the others.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::frame::{Assembler, Frame, FrameKind, Header, Status};
use hostler_rpc::procedure::program;
use hostler_rpc::wire::ConnectClose;
use hostler_rpc::xdr::encode;
use tokio::sync::Semaphore;

use crate::autodestroy;
use crate::budget::Share;
use crate::client::Client;
use crate::daemon::Daemon;
use crate::dispatch::{self, Answered};
use crate::gate::Gate;
use crate::outbox::{Outbox, outbox};
use crate::peer::Peer;
use crate::seats::Seat;
use crate::source::Receive;
use crate::transmit::Transmit;

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

/// Somebody who has come, and by which way.
pub(crate) struct Arrival {
    pub(crate) peer: Peer,
    /// Whether this way is one for reading.
    pub(crate) reads_only: bool,
    /// Whether who may come this way has been decided by who made it: then whoever comes may everything.
    pub(crate) lets_in: bool,
    /// Whether it leads to other machines.
    pub(crate) is_remote: bool,
    pub(crate) seat: Seat,
}

/// Serves a client until it goes, breaks the protocol, or this daemon ends.
pub(crate) async fn serve(
    daemon: Arc<Daemon>,
    arrival: Arrival,
    reading: impl Receive,
    writing: impl Transmit + 'static,
) {
    let peer = arrival.peer.clone();
    tracing::debug!(%peer, reads_only = arrival.reads_only, "a client has come");
    let _connected = daemon.shared.metrics.connected();
    let (outbox, outgoings) = outbox(&daemon.shared.budget, peer.identity.uid);
    let mut writer = tokio::spawn(outgoings.write_to(writing));
    let gate = Arc::new(Gate::new(daemon, arrival, outbox));
    let ended = tokio::select! {
        read = read_frames(&gate, reading) => read,
        () = gate.outbox.closed() => Ok(()),
        () = gate.ended() => Ok(()),
        // It takes nothing any more.
        _ = &mut writer => Ok(()),
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, error, "a client broke the protocol");
    }
    if let Some(client) = gate.client() {
        client.streams.end_all();
        client.callbacks.forget_all();
        autodestroy::end_all(&client);
    }
    gate.outbox.close();
    if !writer.is_finished() && tokio::time::timeout(FAREWELL, &mut writer).await.is_err() {
        writer.abort();
    }
}

/// Reads frames and sees to each, until the client goes.
async fn read_frames(gate: &Arc<Gate>, mut source: impl Receive) -> Result<(), String> {
    let window = Arc::new(Semaphore::new(WINDOW));
    let mut assembler = Assembler::default();
    let mut half = gate.outbox.account().take(0);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let read = source.read(&mut buffer);
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
            let share = gate.outbox.account().take(frame.payload.len());
            let Some(descriptors) = source.take(frame.descriptors) else {
                return Err("a descriptor is missing".to_owned());
            };
            see_to(gate, &window, (frame, share), descriptors).await?;
        }
        half.resize(assembler.held_bytes());
    }
}

async fn see_to(
    gate: &Arc<Gate>,
    window: &Arc<Semaphore>,
    (frame, share): (Frame, Share),
    descriptors: Vec<OwnedFd>,
) -> Result<(), String> {
    match frame.header.kind {
        FrameKind::Call | FrameKind::CallWithDescriptors => {
            // Waiting here, nothing more is read from this client.
            let Ok(turn) = Arc::clone(window).acquire_owned().await else { return Ok(()) };
            let gate = Arc::clone(gate);
            let client = gate.client().filter(|_| !Gate::keeps(&frame));
            let server = client.as_ref().map_or(&gate.daemon.operator, |client| &client.server);
            // A change that has begun is finished, whether or not anybody waits for the answer.
            Arc::clone(server).work(async move {
                let answered = match &client {
                    Some(client) => dispatch::answer(client, &frame, descriptors).await,
                    None => gate.answer(&frame, descriptors).await,
                };
                drop(share);
                reply(&gate, &frame.header, answered, turn).await;
            });
            Ok(())
        }
        FrameKind::Stream | FrameKind::StreamHole => {
            if let Some(client) = gate.client() {
                client.streams.take(frame, share).await;
            }
            Ok(())
        }
        FrameKind::Event if frame.header.program == program::KEEPALIVE => {
            if frame.header.procedure == PING {
                let header = Header { procedure: PONG, ..frame.header };
                send_on(&gate.outbox, header, Vec::new()).await;
            }
            Ok(())
        }
        other => Err(format!("a client sends no {other:?}")),
    }
}

async fn reply(
    gate: &Gate,
    call: &Header,
    answered: Result<Answered, RpcError>,
    turn: tokio::sync::OwnedSemaphorePermit,
) {
    let header = Header { kind: FrameKind::Reply, ..*call };
    // A client may write to its stream as soon as it has the answer.
    let opened =
        answered.and_then(|Answered { payload, stream, descriptors }| match (stream, gate.client()) {
            (Some(body), Some(client)) => match client.streams.open(call) {
                Some(pieces) => Ok((payload, descriptors, Some((client, pieces, body)))),
                None => Err(RpcError::new(
                    codes::ERR_RESOURCE_BUSY,
                    codes::FROM_STREAMS,
                    "too many streams are open",
                )),
            },
            _ => Ok((payload, descriptors, None)),
        });
    let (status, payload, descriptors, stream) = match opened {
        Ok((payload, descriptors, stream)) => (Status::Good, payload, descriptors, stream),
        Err(error) => (Status::Failed, encode(&error).unwrap_or_default(), Vec::new(), None),
    };
    let kind = if descriptors.is_empty() { FrameKind::Reply } else { FrameKind::ReplyWithDescriptors };
    let header = Header { kind, status, ..header };
    match (Frame { header, payload, descriptors: descriptors.len() }).to_bytes() {
        Ok(bytes) => gate.outbox.send_with(bytes, descriptors, Some(turn)).await,
        Err(error) => {
            tracing::error!(%error, "an answer is too long to be sent");
            gate.outbox.close();
        }
    }
    if (call.program, call.procedure) == (ConnectClose::PROGRAM, ConnectClose::NUMBER) {
        gate.outbox.close();
    }
    if let Some((client, pieces, body)) = stream {
        let header = Header { kind: FrameKind::Stream, ..*call };
        let server = Arc::clone(&client.server);
        server.work(async move { body.run(&client, header, pieces).await });
    }
}

/// Sends a frame of ours.
pub(crate) async fn send(client: &Client, header: Header, payload: Vec<u8>) {
    send_on(&client.outbox, header, payload).await;
}

async fn send_on(outbox: &Outbox, header: Header, payload: Vec<u8>) {
    match Frame::new(header, payload).to_bytes() {
        Ok(bytes) => outbox.send(bytes, None).await,
        Err(error) => tracing::error!(%error, "a frame is too long to be sent"),
    }
}
