//! The daemon as a whole: what it holds, its beginning and its end.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use hostler_domains::{Access, Config, Error, Host};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::access::{AccessSettings, Auth, Policy};
use crate::command::Program;
use crate::connection::{self, Arrival};
use crate::events;
use crate::metrics::{self, Endpoint};
use crate::notify;
use crate::peer::Peer;
use crate::seats::{Origin, Seats};
use crate::server::{ServeError, Server, Shared};
use crate::sockets::{self, Listener, Sockets};
use crate::source::Source;
use crate::tls::{self, TlsSettings};
use crate::transmit::Sink;

/// How long a daemon waits for a command that holds the state directory.
const OWNER_WAIT: Duration = Duration::from_secs(30);

/// Where clients come from, and what they may.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The sockets of this machine.
    pub sockets: Sockets,
    /// The way in from other machines.
    pub tls: TlsSettings,
    /// Who is let in, and who may what.
    pub access: AccessSettings,
    /// Where its figures can be fetched, if they are to be.
    pub metrics: Option<SocketAddr>,
}

/// What all connections share.
pub(crate) struct Daemon {
    /// What is served to the operator.
    pub(crate) operator: Arc<Server>,
    pub(crate) seats: Seats,
    pub(crate) shared: Shared,
    auth: Auth,
    policy: RwLock<Option<Arc<Policy>>>,
}

impl Daemon {
    fn new(host: Host, shared: Shared, access: &AccessSettings, policy: Option<Policy>) -> Self {
        Self {
            operator: Arc::new(Server::new(host, shared.clone())),
            shared,
            seats: Seats::default(),
            auth: access.auth.unwrap_or(Auth::None),
            policy: RwLock::new(policy.map(Arc::new)),
        }
    }

    /// What clients are asked for.
    pub(crate) fn auth(&self) -> Auth {
        self.auth
    }

    /// Takes what the access file says for those who come from now on.
    fn set_policy(&self, policy: Option<Policy>) {
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = policy.map(Arc::new);
    }

    /// The access file, as it was read last.
    pub(crate) fn policy(&self) -> Option<Arc<Policy>> {
        self.policy.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Owns the state directory and serves clients, until `stop` comes. Guests go on. The commands that clients send are
/// carried out by `program`, which also reads its settings again on SIGHUP.
///
/// # Errors
/// [`ServeError`].
pub async fn serve(
    config: Config,
    settings: &Settings,
    program: Arc<dyn Program>,
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let state_dir = config.state_dir.clone();
    let policy = settings.access.policy(&config.state_dir)?;
    let acceptor = settings.tls.acceptor()?;
    let host = Host::open(config, Access::Owner { wait: OWNER_WAIT }).await?;
    let open = serves_others(&host, &settings.access, policy.is_some())?;
    let listeners = sockets::open(&settings.sockets, open)?;
    let endpoint = Endpoint::open(settings.metrics).await?;
    let address = listeners.first().and_then(Listener::address);
    if let Some(address) = &address {
        host.announce(address)?;
    }
    let hangups = signal(SignalKind::hangup()).map_err(ServeError::Signals)?;
    let shared =
        Shared { program, metrics: Arc::default(), budget: Arc::default(), realms: Arc::default(), address };
    let daemon = Arc::new(Daemon::new(host, shared, &settings.access, policy));
    let following = events::follow(&daemon.operator)?;
    let mut tasks = JoinSet::new();
    let mut acceptors = None;
    if let (Some(acceptor), Some(address)) = (acceptor, settings.tls.address) {
        let listener = tls::listen(address).await?;
        let (sender, newest) = watch::channel(acceptor);
        tasks.spawn(tls::accept(Arc::clone(&daemon), listener, newest));
        acceptors = Some((settings.tls.clone(), sender));
    }
    for listener in listeners {
        tasks.spawn(accept(Arc::clone(&daemon), listener));
    }
    if let Some(endpoint) = endpoint {
        tasks.spawn(metrics::serve(Arc::clone(&daemon), endpoint));
    }
    let files = Files { access: settings.access.clone(), state_dir, acceptors };
    tasks.spawn(reload(Arc::clone(&daemon), files, hangups));
    notify::tell(notify::READY);
    tracing::info!(pid = std::process::id(), "serving");
    let own = Arc::clone(&daemon);
    tasks.spawn(async move {
        tokio::select! {
            () = own.shared.realms.open_those_at_work(&own.operator) => {}
            () = own.operator.stopping() => {}
        }
    });
    stop.await;
    notify::tell(notify::STOPPING);
    tracing::info!("ending; guests go on");
    if let Err(error) = daemon.operator.host.withdraw() {
        tracing::warn!(%error, "the state directory is said to be held");
    }
    daemon.operator.stop();
    following.end();
    daemon.shared.realms.end().await;
    while tasks.join_next().await.is_some() {}
    daemon.operator.end().await;
    // What came for a tenant in the last moment.
    daemon.shared.realms.end().await;
    Ok(())
}

/// Whether somebody else than its owner may come: then the socket has to let them.
fn serves_others(host: &Host, access: &AccessSettings, has_policy: bool) -> Result<bool, ServeError> {
    let asks = access.auth.is_some_and(|auth| auth != Auth::None) || has_policy;
    Ok(asks || host.own_tenant().is_some() || !host.served_tenants()?.is_empty())
}

/// The files that are read again while clients are served.
struct Files {
    access: AccessSettings,
    state_dir: PathBuf,
    /// Those of TLS, and who makes connections with what they say.
    acceptors: Option<(TlsSettings, watch::Sender<tls::Acceptor>)>,
}

impl Files {
    /// Reads them. Where one is wrong, what it said before holds on; who is there keeps what it may.
    fn read_again(&self, daemon: &Daemon) {
        match self.access.policy(&self.state_dir) {
            Ok(policy) => daemon.set_policy(policy),
            Err(error) => tracing::error!("the access file of before holds on: {}", with_place(&error)),
        }
        let Some((settings, acceptors)) = &self.acceptors else { return };
        match settings.acceptor() {
            Ok(Some(acceptor)) => drop(acceptors.send_replace(acceptor)),
            Ok(None) => {}
            Err(error) => tracing::error!("{error}; the certificates of before hold on"),
        }
    }
}

/// What is wrong, where in a file, and what to do about it.
fn with_place(error: &Error) -> String {
    let of = |what: &str| error.subject.iter().find(|(name, _)| name == what).map(|(_, value)| value);
    let place = match (of("line"), of("column")) {
        (Some(line), Some(column)) => format!(" (line {line}, column {column})"),
        _ => String::new(),
    };
    let hints: String = error.hints.iter().map(|hint| format!("; {}", hint.text)).collect();
    format!("{error}{place}{hints}")
}

/// Reads the settings again, each time that the service manager asks for it.
async fn reload(daemon: Arc<Daemon>, files: Files, mut hangups: Signal) {
    loop {
        tokio::select! {
            _ = hangups.recv() => {}
            () = daemon.operator.stopping() => return,
        }
        notify::tell_reloading();
        daemon.shared.program.reload();
        files.read_again(&daemon);
        notify::tell(notify::READY);
    }
}

/// Takes clients until the daemon ends, and waits for those that are there.
async fn accept(daemon: Arc<Daemon>, listener: Listener) {
    let mut clients = JoinSet::new();
    loop {
        let came = tokio::select! {
            came = listener.listener.accept() => came,
            () = daemon.operator.stopping() => break,
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
        let peer = match socket.peer_cred() {
            Ok(credentials) => Peer::local(&credentials),
            Err(error) => {
                tracing::warn!(%error, "a client without a name is not served");
                continue;
            }
        };
        let (daemon, reads_only, lets_in) = (Arc::clone(&daemon), listener.read_only, listener.lets_in);
        clients.spawn(async move {
            let origin = match peer.identity.uid.filter(|_| !peer.is_owner) {
                Some(uid) => Origin::User(uid),
                None => Origin::Owner,
            };
            let seat = tokio::select! {
                seat = daemon.seats.take(origin) => seat,
                () = daemon.operator.stopping() => return,
            };
            let Some(seat) = seat else {
                daemon.shared.metrics.turned_away();
                return tracing::warn!(%peer, "too many clients are connected; one more is turned away");
            };
            let (reading, writing) = socket.into_split();
            let (reading, writing) = (Source::new(reading), Sink(writing));
            let arrival = Arrival { peer, reads_only, lets_in, is_remote: false, seat };
            connection::serve(daemon, arrival, reading, writing).await;
        });
    }
    drop(listener);
    while clients.join_next().await.is_some() {}
}
