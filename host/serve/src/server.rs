//! What is served to the operator, or to one tenant: its state directory, whose turn it is, who is told of events.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hostler_domains::Host;
use thiserror::Error;
use tokio::sync::{Semaphore, watch};

use crate::arrivals::{Arrivals, Departures};
use crate::budget::Budget;
use crate::command::Program;
use crate::events::Hub;
use crate::jobs::Jobs;
use crate::metrics::Metrics;
use crate::places::Places;
use crate::realms::Realms;

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
    /// Nothing can listen where the figures are to be fetched.
    #[error("cannot listen on {address} for those who fetch figures")]
    Metrics {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The signal to read the settings again cannot be waited for.
    #[error("cannot listen for signals")]
    Signals(#[source] io::Error),
    /// The events of the state directory cannot be followed.
    #[error("cannot follow the events of the state directory")]
    Events(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ServeError {
    pub(crate) fn socket(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Socket { action, path: path.display().to_string(), source }
    }
}

/// What the whole daemon shares.
#[derive(Clone)]
pub(crate) struct Shared {
    /// What is around it.
    pub(crate) program: Arc<dyn Program>,
    /// What it counts.
    pub(crate) metrics: Arc<Metrics>,
    /// What all clients may have of its memory.
    pub(crate) budget: Arc<Budget>,
    /// What is served to tenants.
    pub(crate) realms: Arc<Realms>,
    /// How a client of this machine gets to the operator's, as a URI; nothing where no name leads there.
    pub(crate) address: Option<String>,
}

/// What the connections of the operator, or of one tenant, share.
pub(crate) struct Server {
    pub(crate) host: Arc<Host>,
    pub(crate) shared: Shared,
    pub(crate) jobs: Jobs,
    pub(crate) hub: Hub,
    pub(crate) places: Places,
    /// Guests that are waited for, and those that are being sent.
    pub(crate) arrivals: Arrivals,
    pub(crate) departures: Departures,
    stop: watch::Sender<bool>,
    /// One for each piece of work that goes on; all of them free is the end of it.
    working: Arc<Semaphore>,
}

/// How many pieces of work there can be: more than clients and their windows allow.
const WORK_MAX: u32 = 1 << 20;

impl Server {
    pub(crate) fn new(host: Host, shared: Shared) -> Self {
        Self {
            host: Arc::new(host),
            shared,
            jobs: Jobs::default(),
            hub: Hub::default(),
            places: Places::default(),
            arrivals: Arrivals::default(),
            departures: Departures::default(),
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
