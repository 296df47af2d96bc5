//! What goes to a client: in order, and never more of it in memory than its calls, its streams and some events.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc};

use crate::budget::{Account, Budget, Share};
use crate::transmit::Transmit;

/// Answers and pieces of streams that wait at once; who has more waits with it.
const ANSWERS: usize = 8;
/// Events that wait at once. A client that takes none for so long is let go: nobody is to remember for it without end.
const EVENTS: usize = 1_024;

/// What waits to be written.
struct Outgoing {
    bytes: Vec<u8>,
    /// What goes behind them.
    descriptors: Vec<OwnedFd>,
    share: Share,
    /// The right to have one more call, given back when the answer is written.
    window: Option<OwnedSemaphorePermit>,
}

/// The way to a client.
#[derive(Clone)]
pub(crate) struct Outbox {
    answers: mpsc::Sender<Outgoing>,
    events: mpsc::Sender<(Vec<u8>, Share)>,
    closing: Arc<Closing>,
    account: Arc<Account>,
}

/// That a connection is to end.
#[derive(Default)]
pub(crate) struct Closing {
    wanted: AtomicBool,
    changed: Notify,
}

impl Closing {
    pub(crate) fn close(&self) {
        self.wanted.store(true, Ordering::Release);
        self.changed.notify_waiters();
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Acquire)
    }
}

/// The other end of an outbox.
pub(crate) struct Outgoings {
    answers: mpsc::Receiver<Outgoing>,
    events: mpsc::Receiver<(Vec<u8>, Share)>,
    closing: Arc<Closing>,
}

/// An outbox and its other end, for a client of this user.
pub(crate) fn outbox(budget: &Arc<Budget>, user: Option<u32>) -> (Outbox, Outgoings) {
    let (answers, waiting_answers) = mpsc::channel(ANSWERS);
    let (events, waiting_events) = mpsc::channel(EVENTS);
    let closing = Arc::<Closing>::default();
    let outgoings =
        Outgoings { answers: waiting_answers, events: waiting_events, closing: Arc::clone(&closing) };
    let account = budget.open(user, Arc::clone(&closing));
    (Outbox { answers, events, closing, account }, outgoings)
}

impl Outbox {
    /// Sends an answer, or a piece of a stream; waits while the client does not take what came before. A client that is
    /// gone takes everything.
    pub(crate) async fn send(&self, bytes: Vec<u8>, window: Option<OwnedSemaphorePermit>) {
        self.send_with(bytes, Vec::new(), window).await;
    }

    /// The same, with descriptors behind it.
    pub(crate) async fn send_with(
        &self,
        bytes: Vec<u8>,
        descriptors: Vec<OwnedFd>,
        window: Option<OwnedSemaphorePermit>,
    ) {
        // That nobody is there to take it is no failure of what was done.
        let share = self.account.take(bytes.len());
        self.answers.send(Outgoing { bytes, descriptors, share, window }).await.ok();
    }

    /// Tells of something. Never waits.
    pub(crate) fn tell(&self, bytes: Vec<u8>) {
        let share = self.account.take(bytes.len());
        if let Err(mpsc::error::TrySendError::Full(_)) = self.events.try_send((bytes, share)) {
            tracing::warn!("a client takes no events; it is let go");
            self.close();
        }
    }

    /// Ends the connection once what waits is written, if the client takes it.
    pub(crate) fn close(&self) {
        self.closing.close();
    }

    /// What this client has of the memory.
    pub(crate) fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Returns when the connection is to end.
    pub(crate) async fn closed(&self) {
        loop {
            let changed = self.closing.changed.notified();
            if self.closing.is_wanted() {
                return;
            }
            changed.await;
        }
    }
}

impl Outgoings {
    /// Writes everything, until the connection is to end and nothing waits.
    pub(crate) async fn write_to(mut self, mut socket: impl Transmit) {
        while let Some(Outgoing { bytes, descriptors, share, window }) = self.next().await {
            if socket.write(&bytes, descriptors).await.is_err() {
                break;
            }
            drop((bytes, share, window));
        }
    }

    async fn next(&mut self) -> Option<Outgoing> {
        loop {
            let changed = self.closing.changed.notified();
            // Answers first, in the order in which they came: an event may wait.
            if let Ok(answer) = self.answers.try_recv() {
                return Some(answer);
            }
            if let Ok(event) = self.events.try_recv() {
                return Some(event.into());
            }
            if self.closing.is_wanted() {
                return None;
            }
            tokio::select! {
                answer = self.answers.recv() => return answer,
                event = self.events.recv() => return event.map(Into::into),
                () = changed => {}
            }
        }
    }
}

impl From<(Vec<u8>, Share)> for Outgoing {
    fn from((bytes, share): (Vec<u8>, Share)) -> Self {
        Self { bytes, descriptors: Vec::new(), share, window: None }
    }
}
