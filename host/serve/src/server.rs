//! The daemon as a whole: what it holds, its beginning and its end.

use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hostler_domains::{Access, Config, Host};
use thiserror::Error;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::budget::Budget;
use crate::connection;
use crate::events::{self, Hub};
use crate::jobs::Jobs;
use crate::notify;
use crate::places::Places;
use crate::sockets::{self, Listener, Sockets};

/// Clients at once. A management program has a few connections; this many cost little as long as they are silent.
const CLIENTS: usize = 1_000;
/// How long what has begun may take at the end. What is not done then is settled by the next owner.
const FINISH: Duration = Duration::from_secs(20);
/// How long a daemon waits for a command that holds the state directory.
const OWNER_WAIT: Duration = Duration::from_secs(30);

/// Why there is no daemon, or no more.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The state directory cannot be had.
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

/// What all connections share.
pub(crate) struct Server {
    pub(crate) host: Host,
    pub(crate) jobs: Jobs,
    pub(crate) hub: Hub,
    pub(crate) budget: Arc<Budget>,
    pub(crate) places: Places,
    stop: watch::Sender<bool>,
    /// One for each piece of work that goes on; all of them free is the end of it.
    working: Arc<Semaphore>,
}

/// How many pieces of work there can be: more than clients and their windows allow.
const WORK_MAX: u32 = 1 << 20;

impl Server {
    fn new(host: Host) -> Self {
        Self {
            host,
            jobs: Jobs::default(),
            hub: Hub::default(),
            budget: Arc::default(),
            places: Places::default(),
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

    /// Returns when the daemon is to end.
    pub(crate) async fn stopping(&self) {
        // The sender is ours, so that there is always one.
        self.stop.subscribe().wait_for(|stop| *stop).await.ok();
    }
}

/// Owns the state directory and serves clients, until `stop` comes. Guests go on.
///
/// # Errors
/// [`ServeError`].
pub async fn serve(
    config: Config,
    sockets: &Sockets,
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let host = Host::open(config, Access::Owner { wait: OWNER_WAIT }).await?;
    let listeners = sockets::open(sockets)?;
    let server = Arc::new(Server::new(host));
    let following = events::follow(&server)?;
    let mut tasks = JoinSet::new();
    for listener in listeners {
        tasks.spawn(accept(Arc::clone(&server), listener));
    }
    notify::tell(notify::READY);
    tracing::info!(pid = std::process::id(), "serving");
    stop.await;
    notify::tell(notify::STOPPING);
    tracing::info!("ending; guests go on");
    server.stop.send_replace(true);
    following.end();
    while tasks.join_next().await.is_some() {}
    if tokio::time::timeout(FINISH, server.working.acquire_many(WORK_MAX)).await.is_err() {
        tracing::warn!("something that was begun is not done; the next owner settles it");
    }
    Ok(())
}

/// Takes clients until the daemon ends, and waits for those that are there.
async fn accept(server: Arc<Server>, listener: Listener) {
    let places = Arc::new(Semaphore::new(CLIENTS));
    let mut clients = JoinSet::new();
    loop {
        let came = tokio::select! {
            came = listener.listener.accept() => came,
            () = server.stopping() => break,
        };
        let socket = match came {
            Ok((socket, _)) => socket,
            Err(error) => {
                // No descriptors left, as a rule: others have to close theirs first.
                tracing::warn!(%error, "no client can be taken");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        while clients.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            tracing::warn!("{CLIENTS} clients are connected; one more is turned away");
            continue;
        };
        let (server, read_only) = (Arc::clone(&server), listener.read_only);
        clients.spawn(async move {
            connection::serve(server, socket, read_only).await;
            drop(place);
        });
    }
    drop(listener);
    while clients.join_next().await.is_some() {}
}
