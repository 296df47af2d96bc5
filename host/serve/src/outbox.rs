//! What goes to a client: in order, and never more of it in memory than its calls, its streams and some events.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc};

/// Answers and pieces of streams that wait at once; who has more waits with it.
const ANSWERS: usize = 8;
/// Events that wait at once. A client that takes none for so long is let go: nobody is to remember for it without end.
const EVENTS: usize = 1_024;

/// What waits to be written.
struct Outgoing {
    bytes: Vec<u8>,
    /// The right to have one more call, given back when the answer is written.
    _window: Option<OwnedSemaphorePermit>,
}

/// The way to a client.
#[derive(Clone)]
pub(crate) struct Outbox {
    answers: mpsc::Sender<Outgoing>,
    events: mpsc::Sender<Vec<u8>>,
    closing: Arc<Closing>,
}

#[derive(Default)]
struct Closing {
    wanted: AtomicBool,
    changed: Notify,
}

/// The other end of an outbox.
pub(crate) struct Outgoings {
    answers: mpsc::Receiver<Outgoing>,
    events: mpsc::Receiver<Vec<u8>>,
    closing: Arc<Closing>,
}

/// An outbox and its other end.
pub(crate) fn outbox() -> (Outbox, Outgoings) {
    let (answers, waiting_answers) = mpsc::channel(ANSWERS);
    let (events, waiting_events) = mpsc::channel(EVENTS);
    let closing = Arc::<Closing>::default();
    let outgoings =
        Outgoings { answers: waiting_answers, events: waiting_events, closing: Arc::clone(&closing) };
    (Outbox { answers, events, closing }, outgoings)
}

impl Outbox {
    /// Sends an answer, or a piece of a stream; waits while the client does not take what came before. A client that is
    /// gone takes everything.
    pub(crate) async fn send(&self, bytes: Vec<u8>, window: Option<OwnedSemaphorePermit>) {
        // That nobody is there to take it is no failure of what was done.
        self.answers.send(Outgoing { bytes, _window: window }).await.ok();
    }

    /// Tells of something. Never waits.
    pub(crate) fn tell(&self, bytes: Vec<u8>) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.events.try_send(bytes) {
            tracing::warn!("a client takes no events; it is let go");
            self.close();
        }
    }

    /// Ends the connection once what waits is written, if the client takes it.
    pub(crate) fn close(&self) {
        self.closing.wanted.store(true, Ordering::Release);
        self.closing.changed.notify_waiters();
    }

    /// Returns when the connection is to end.
    pub(crate) async fn closed(&self) {
        loop {
            let changed = self.closing.changed.notified();
            if self.closing.wanted.load(Ordering::Acquire) {
                return;
            }
            changed.await;
        }
    }
}

impl Outgoings {
    /// Writes everything, until the connection is to end and nothing waits.
    pub(crate) async fn write_to(mut self, mut socket: impl AsyncWrite + Unpin) {
        while let Some((bytes, window)) = self.next().await {
            // What is encrypted is only on its way when it is flushed.
            if socket.write_all(&bytes).await.is_err() || socket.flush().await.is_err() {
                break;
            }
            drop(window);
        }
    }

    async fn next(&mut self) -> Option<(Vec<u8>, Option<OwnedSemaphorePermit>)> {
        loop {
            let changed = self.closing.changed.notified();
            // Answers first, in the order in which they came: an event may wait.
            if let Ok(answer) = self.answers.try_recv() {
                return Some((answer.bytes, answer._window));
            }
            if let Ok(event) = self.events.try_recv() {
                return Some((event, None));
            }
            if self.closing.wanted.load(Ordering::Acquire) {
                return None;
            }
            tokio::select! {
                answer = self.answers.recv() => return answer.map(|answer| (answer.bytes, answer._window)),
                event = self.events.recv() => return event.map(|event| (event, None)),
                () = changed => {}
            }
        }
    }
}
