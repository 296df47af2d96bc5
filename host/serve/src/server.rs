//! What is served to the operator, or to one tenant: its state directory, whose turn it is, who is told of events.

use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hostler_domains::Host;
use thiserror::Error;
use tokio::sync::{Semaphore, watch};

use crate::events::Hub;
use crate::jobs::Jobs;

/// Calls that may wait for a hypervisor, of all clients of one tenant together.
const SLOW_CALLS: usize = 128;
/// How long what has begun may take at the end. What is not done then is settled by the next owner.
const FINISH: Duration = Duration::from_secs(20);

/// Why there is no daemon, or no more.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The state directory cannot be had, or a setting is wrong.
    #[error(transparent)]
    Host(#[from] hostler_domains::Error),
    /// A socket cannot be had.
    #[error("cannot {action} the socket '{path}'")]
    Socket {
        /// What was to be done.
        action: &'static str,
        /// Where.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// The events of the state directory cannot be followed.
    #[error("cannot follow the events of the state directory")]
    Events(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ServeError {
    pub(crate) fn socket(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Socket { action, path: path.display().to_string(), source }
    }
}

/// What the connections of the operator, or of one tenant, share.
pub(crate) struct Server {
    pub(crate) host: Host,
    pub(crate) jobs: Jobs,
    pub(crate) hub: Hub,
    /// Turns for what may wait for a hypervisor.
    pub(crate) slow: Semaphore,
    stop: watch::Sender<bool>,
    /// One for each piece of work that goes on; all of them free is the end of it.
    working: Arc<Semaphore>,
}

/// How many pieces of work there can be: more than clients and their windows allow.
const WORK_MAX: u32 = 1 << 20;

impl Server {
    pub(crate) fn new(host: Host) -> Self {
        Self {
            host,
            jobs: Jobs::default(),
            hub: Hub::default(),
            slow: Semaphore::new(SLOW_CALLS),
            stop: watch::Sender::new(false),
            working: Arc::new(Semaphore::new(WORK_MAX as usize)),
        }
    }

    /// Does something that is not to be left half-done at the end.
    pub(crate) fn work(self: &Arc<Self>, work: impl Future<Output = ()> + Send + 'static) {
        let counted = Arc::clone(&self.working).try_acquire_owned();
        tokio::spawn(async move {
            work.await;
            drop(counted);
        });
    }

    /// Returns when this is to end.
    pub(crate) async fn stopping(&self) {
        // The sender is ours, so that there is always one.
        self.stop.subscribe().wait_for(|stop| *stop).await.ok();
    }

    /// Tells everybody that this is to end.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Ends it, and waits for what has begun.
    pub(crate) async fn end(&self) {
        self.stop();
        if tokio::time::timeout(FINISH, self.working.acquire_many(WORK_MAX)).await.is_err() {
            tracing::warn!("something that was begun is not done; the next owner settles it");
        }
    }
}
