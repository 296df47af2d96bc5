//! The daemon as a whole: what it holds, its beginning and its end.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hostler_domains::{Access, Config, Host};
use tokio::task::JoinSet;

use crate::access::{AccessSettings, Auth, Policy};
use crate::connection::{self, Arrival};
use crate::events;
use crate::notify;
use crate::peer::Peer;
use crate::realms::Realms;
use crate::seats::{Origin, Seats};
use crate::server::{ServeError, Server};
use crate::sockets::{self, Listener, Sockets};
use crate::tls::{self, TlsSettings};

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
}

/// What all connections share.
pub(crate) struct Daemon {
    /// What is served to the operator.
    pub(crate) operator: Arc<Server>,
    /// What is served to tenants.
    pub(crate) realms: Realms,
    pub(crate) seats: Seats,
    auth: Auth,
    policy: Option<Arc<Policy>>,
}

impl Daemon {
    fn new(host: Host, access: &AccessSettings, policy: Option<Policy>) -> Self {
        Self {
            operator: Arc::new(Server::new(host)),
            realms: Realms::default(),
            seats: Seats::default(),
            auth: access.auth.unwrap_or(Auth::None),
            policy: policy.map(Arc::new),
        }
    }

    /// What clients are asked for.
    pub(crate) fn auth(&self) -> Auth {
        self.auth
    }

    /// The access file.
    pub(crate) fn policy(&self) -> Option<&Arc<Policy>> {
        self.policy.as_ref()
    }
}

/// Owns the state directory and serves clients, until `stop` comes. Guests go on.
///
/// # Errors
/// [`ServeError`].
pub async fn serve(
    config: Config,
    settings: &Settings,
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let policy = settings.access.policy(&config.state_dir)?;
    let acceptor = settings.tls.acceptor()?;
    let host = Host::open(config, Access::Owner { wait: OWNER_WAIT }).await?;
    let daemon = Arc::new(Daemon::new(host, &settings.access, policy));
    let open = daemon.serves_others()?;
    let listeners = sockets::open(&settings.sockets, open)?;
    let following = events::follow(&daemon.operator)?;
    let mut tasks = JoinSet::new();
    if let (Some(acceptor), Some(address)) = (acceptor, settings.tls.address) {
        let listener = tls::listen(address).await?;
        tasks.spawn(tls::accept(Arc::clone(&daemon), listener, acceptor));
    }
    for listener in listeners {
        tasks.spawn(accept(Arc::clone(&daemon), listener));
    }
    notify::tell(notify::READY);
    tracing::info!(pid = std::process::id(), "serving");
    let own = Arc::clone(&daemon);
    tasks.spawn(async move {
        tokio::select! {
            () = own.realms.open_those_at_work(&own.operator.host) => {}
            () = own.operator.stopping() => {}
        }
    });
    stop.await;
    notify::tell(notify::STOPPING);
    tracing::info!("ending; guests go on");
    daemon.operator.stop();
    following.end();
    daemon.realms.end().await;
    while tasks.join_next().await.is_some() {}
    daemon.operator.end().await;
    // What came for a tenant in the last moment.
    daemon.realms.end().await;
    Ok(())
}

impl Daemon {
    /// Whether somebody else than its owner may come: then the socket has to let them.
    fn serves_others(&self) -> Result<bool, ServeError> {
        let asks = self.auth != Auth::None || self.policy().is_some();
        let host = &self.operator.host;
        Ok(asks || host.own_tenant().is_some() || !host.served_tenants()?.is_empty())
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
                return tracing::warn!(%peer, "too many clients are connected; one more is turned away");
            };
            let (reading, writing) = socket.into_split();
            let arrival = Arrival { peer, reads_only, lets_in, is_remote: false, seat };
            connection::serve(daemon, arrival, reading, writing).await;
        });
    }
    drop(listener);
    while clients.join_next().await.is_some() {}
}
