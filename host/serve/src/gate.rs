//! The way in: what a client may call before it has opened anything, who it is found to be, and what is then served to it.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use hostler_domains::ServedTenant;
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::frame::Frame;
use hostler_rpc::procedure::{self, Call, program};
use hostler_rpc::wire::{
    AuthList, AuthListAnswer, AuthPolkit, AuthPolkitAnswer, ConnectClose, ConnectOpen, ConnectSetIdentity,
    ConnectSupportsFeature,
};
use hostler_rpc::xdr::{self, List, Xdr};
use tokio::sync::{Mutex as Turn, watch};

use crate::access::object::Object;
use crate::access::rights::{Otherwise, Rights};
use crate::access::{Auth, denied};
use crate::client::{Client, Session, internal};
use crate::connection::Arrival;
use crate::daemon::Daemon;
use crate::dispatch::{self, Answered};
use crate::failure;
use crate::identity;
use crate::names::{self, Wanted};
use crate::outbox::Outbox;
use crate::peer::Peer;
use crate::polkit;
use crate::procedures::supports;
use crate::server::Server;

/// How long a client may take to open something.
const OPEN_WAIT: Duration = Duration::from_secs(60);
/// The same where somebody may have to write a password first.
const LOGIN_WAIT: Duration = Duration::from_secs(300);
/// How often a client may try to be let in.
const ATTEMPTS: u32 = 8;
/// The way in that asks nothing.
const NO_LOGIN: i32 = 0;
/// The way in that asks polkit.
const POLKIT: i32 = 2;
/// The flag of a client that only wants to read.
const READ_ONLY: u32 = 1;
/// A flag for the client's own library.
const NO_ALIASES: u32 = 2;

/// The way in of one connection.
pub(crate) struct Gate {
    pub(crate) daemon: Arc<Daemon>,
    pub(crate) outbox: Outbox,
    arrival: Arrival,
    /// Calls that come before anything is open take turns, so that what follows an opening finds it open.
    login: Turn<Login>,
    client: watch::Sender<Option<Arc<Client>>>,
}

/// What has been decided of somebody who is neither an owner nor a tenant's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// They were let in, and may everything, or what an access file says if there is one.
    LetIn,
    /// Nothing: they may what an access file says, and without one they are strangers.
    Unknown,
    /// They may look, and what an access file says.
    Looks,
    /// They are strangers: who is asked about them was not.
    Stranger,
}

impl Standing {
    /// What holds for them where no rule says anything; nothing for strangers.
    fn otherwise(self, has_file: bool) -> Option<Otherwise> {
        match (self, has_file) {
            (Self::LetIn, false) => Some(Otherwise::Everything),
            (Self::LetIn | Self::Unknown, true) | (Self::Looks, _) => Some(Otherwise::Defaults),
            (Self::Unknown, false) | (Self::Stranger, _) => None,
        }
    }
}

/// How far a client has come.
#[derive(Default)]
struct Login {
    let_in: bool,
    attempts: u32,
}

impl Gate {
    pub(crate) fn new(daemon: Arc<Daemon>, arrival: Arrival, outbox: Outbox) -> Self {
        Self { daemon, outbox, arrival, login: Turn::default(), client: watch::Sender::new(None) }
    }

    /// What is served, once something is open.
    pub(crate) fn client(&self) -> Option<Arc<Client>> {
        self.client.borrow().clone()
    }

    /// Returns when this connection is to end: nothing was opened in time, or what was ends.
    pub(crate) async fn ended(&self) {
        let mut changes = self.client.subscribe();
        let wait = if self.asks() { LOGIN_WAIT } else { OPEN_WAIT };
        let opened = changes.wait_for(Option::is_some);
        let in_time = tokio::select! {
            opened = tokio::time::timeout(wait, opened) => opened.is_ok(),
            () = self.daemon.operator.stopping() => false,
        };
        while let (true, Some(client)) = (in_time, self.client()) {
            tokio::select! {
                () = client.server.stopping() => return,
                changed = changes.changed() => if changed.is_err() { return },
            }
        }
        tracing::debug!(peer = %self.arrival.peer, "a client has opened nothing");
    }

    /// Whether this client has to be let in by somebody.
    fn asks(&self) -> bool {
        self.daemon.auth() == Auth::Polkit && !self.arrival.is_remote && !self.arrival.peer.is_owner
    }

    /// Whether a call is for the gate, whatever is open.
    pub(crate) fn keeps(frame: &Frame) -> bool {
        let header = &frame.header;
        (header.program, header.procedure) == (ConnectSetIdentity::PROGRAM, ConnectSetIdentity::NUMBER)
    }

    /// Carries a call out that comes before anything is open, or that is about who the client is.
    ///
    /// # Errors
    /// That it may not be made yet, or what it came to.
    pub(crate) async fn answer(
        &self,
        frame: &Frame,
        descriptors: Vec<OwnedFd>,
    ) -> Result<Answered, RpcError> {
        let mut login = self.login.lock().await;
        let header = &frame.header;
        if let Some(client) = self.client() {
            if Self::keeps(frame) {
                let call = decoded::<ConnectSetIdentity>(frame)?;
                return self.take_over(&client, &call).await.and_then(|()| answered(&()));
            }
            drop(login);
            return dispatch::answer(&client, frame, descriptors).await;
        }
        if header.program != program::REMOTE || header.version != program::VERSION {
            return Err(dispatch::no_program(header));
        }
        match header.procedure {
            AuthList::NUMBER => answered(&self.auth_list().await),
            AuthPolkit::NUMBER => answered(&self.auth_polkit(&mut login).await?),
            ConnectClose::NUMBER => answered(&()),
            number => {
                if procedure::find(header.program, number).is_none() {
                    return Err(RpcError::unknown_procedure(number));
                }
                if !login.let_in && self.asks_of_this().await? {
                    return Err(RpcError::protocol("authentication required"));
                }
                match number {
                    ConnectSupportsFeature::NUMBER => {
                        answered(&supports(&decoded(frame)?, &self.arrival.peer))
                    }
                    ConnectOpen::NUMBER => {
                        let call = decoded(frame)?;
                        self.open(&login, &call).await.and_then(|()| answered(&()))
                    }
                    _ => Err(internal("connection not open")),
                }
            }
        }
    }

    async fn auth_list(&self) -> AuthListAnswer {
        // Who cannot be found out is asked.
        let asked = self.asks_of_this().await.unwrap_or(true);
        AuthListAnswer { types: List(vec![if asked { POLKIT } else { NO_LOGIN }]) }
    }

    /// Whether polkit is asked whether to let this client in. Tenants' users are let in by the operator's record.
    async fn asks_of_this(&self) -> Result<bool, RpcError> {
        Ok(self.asks() && self.tenants_of(&self.arrival.peer).await?.is_empty())
    }

    async fn auth_polkit(&self, login: &mut Login) -> Result<AuthPolkitAnswer, RpcError> {
        if login.let_in || !self.asks_of_this().await? {
            let detail = "client tried invalid PolicyKit init request";
            return Err(RpcError::new(codes::ERR_AUTH_FAILED, codes::FROM_AUTH, detail));
        }
        login.attempts += 1;
        if login.attempts > ATTEMPTS {
            self.outbox.close();
            return Err(RpcError::new(codes::ERR_AUTH_FAILED, codes::FROM_AUTH, "too many attempts"));
        }
        polkit::check(&self.arrival.peer, self.arrival.reads_only).await?;
        login.let_in = true;
        Ok(AuthPolkitAnswer { complete: 1 })
    }

    async fn open(&self, login: &Login, call: &ConnectOpen) -> Result<(), RpcError> {
        if call.flags & !(READ_ONLY | NO_ALIASES) != 0 {
            let detail = format!("unsupported flags (0x{:x}) in function virConnectOpen", call.flags);
            return Err(RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_QEMU, detail));
        }
        let wanted = names::wanted(call.name.as_deref().unwrap_or_default())?;
        let read_only = self.arrival.reads_only || call.flags & READ_ONLY != 0;
        let standing = match self.daemon.auth() {
            // A certificate says who somebody is, and not that this host is theirs.
            _ if self.arrival.is_remote => Standing::Looks,
            Auth::Policy => Standing::Looks,
            Auth::Polkit if login.let_in => Standing::LetIn,
            Auth::Polkit => Standing::Stranger,
            Auth::None if self.arrival.lets_in => Standing::LetIn,
            Auth::None => Standing::Unknown,
        };
        let client = self.admit(self.arrival.peer.clone(), wanted, read_only, standing).await?;
        self.serve(client);
        self.arrival.seat.opened();
        Ok(())
    }

    fn serve(&self, client: Arc<Client>) {
        tracing::debug!(peer = %client.peer, uri = client.session().uri, "a client has opened the host");
        client.server.hub.watch(&client);
        self.client.send_replace(Some(client));
    }

    /// Finds what is served to somebody, and what they may there.
    async fn admit(
        &self,
        mut peer: Peer,
        wanted: Wanted,
        read_only: bool,
        standing: Standing,
    ) -> Result<Arc<Client>, RpcError> {
        let policy = self.daemon.policy();
        if policy.as_ref().is_some_and(|policy| policy.knows_groups()) {
            peer = peer.with_groups().await;
        }
        let (server, owns) = match self.realm(&peer, wanted.tenant.as_deref()).await? {
            Some(tenant) => (self.open_realm(&tenant).await?, true),
            None => (Arc::clone(&self.daemon.operator), peer.is_owner || self.is_of_own_tenant(&peer).await),
        };
        let otherwise = match owns {
            true => Otherwise::Everything,
            false => standing.otherwise(policy.is_some()).ok_or_else(|| stranger(&peer))?,
        };
        let rights = match &policy {
            Some(policy) => policy.rights(&peer.identity, otherwise),
            None => Rights::new(Vec::new(), otherwise),
        };
        if !rights.may("connect.getattr", &Object::none()) {
            return Err(denied("'connect.getattr' is not allowed"));
        }
        let session = Session { uri: wanted.uri, read_only };
        let outbox = self.outbox.clone();
        Ok(Arc::new(Client::new(server, peer, session, rights, outbox)))
    }

    /// The tenant for which somebody comes; nothing for what is the operator's.
    async fn realm(&self, peer: &Peer, wanted: Option<&str>) -> Result<Option<ServedTenant>, RpcError> {
        let named = wanted.filter(|name| *name != names::OPERATOR);
        if let (Some(mapped), true) =
            (&peer.tenant, named.is_none_or(|name| Some(name) == peer.tenant.as_deref()))
        {
            let tenant = self.tenants()?.into_iter().find(|tenant| tenant.name() == mapped);
            return tenant.map(Some).ok_or_else(|| no_tenant(mapped));
        }
        if peer.is_owner {
            let Some(name) = named else { return Ok(None) };
            let tenant = self.tenants()?.into_iter().find(|tenant| tenant.name() == name);
            return tenant.map(Some).ok_or_else(|| no_tenant(name));
        }
        let mut theirs = self.tenants_of(peer).await?;
        match (named, wanted, theirs.len()) {
            (Some(name), _, _) => {
                theirs.retain(|tenant| tenant.name() == name);
                theirs.pop().map(Some).ok_or_else(|| no_tenant(name))
            }
            (None, Some(_), _) | (None, None, 0) => Ok(None),
            (None, None, 1) => Ok(theirs.pop()),
            (None, None, _) => {
                let names: Vec<_> = theirs.iter().map(ServedTenant::name).collect();
                let detail = format!("say for which tenant with ?tenant=NAME: {}", names.join(", "));
                Err(RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_ACCESS, detail))
            }
        }
    }

    /// Whether this daemon serves one tenant alone, and somebody may act for it.
    async fn is_of_own_tenant(&self, peer: &Peer) -> bool {
        let Some(tenant) = self.daemon.operator.host.own_tenant() else { return false };
        let peer = if tenant.knows_groups() { peer.clone().with_groups().await } else { peer.clone() };
        peer.caller().is_some_and(|caller| tenant.admits(&caller))
    }

    fn tenants(&self) -> Result<Vec<ServedTenant>, RpcError> {
        self.daemon.operator.host.served_tenants().map_err(|error| failure::of_domain(&error))
    }

    /// The tenants that somebody may act for. A user of another machine is one of this only where the access file says so.
    async fn tenants_of(&self, peer: &Peer) -> Result<Vec<ServedTenant>, RpcError> {
        if peer.identity.uid.is_none() || peer.is_owner {
            return Ok(Vec::new());
        }
        let mut tenants = self.tenants()?;
        let groups_matter = tenants.iter().any(ServedTenant::knows_groups);
        let peer = if groups_matter { peer.clone().with_groups().await } else { peer.clone() };
        let caller = peer.caller();
        tenants.retain(|tenant| caller.as_ref().is_some_and(|caller| tenant.admits(caller)));
        Ok(tenants)
    }

    async fn open_realm(&self, tenant: &ServedTenant) -> Result<Arc<Server>, RpcError> {
        let opened = self.daemon.shared.realms.of(&self.daemon.operator, tenant).await;
        opened.map_err(|error| match error {
            crate::ServeError::Host(error) => failure::of_domain(&error),
            error => internal(&error.to_string()),
        })
    }

    /// Serves a client from now on as somebody else, on the word of who is trusted to pass others on.
    async fn take_over(&self, client: &Client, call: &ConnectSetIdentity) -> Result<(), RpcError> {
        if !client.peer.is_owner || client.session().read_only {
            tracing::warn!(peer = %client.peer, "says that it is somebody else, and is not believed");
            return Err(denied(
                "'connect.write' is not allowed: only root and the daemon's own user pass others on",
            ));
        }
        if client.is_in_use() {
            return Err(internal("who a client is cannot change while it has streams or waits for events"));
        }
        let peer = match (identity::of(call)?, self.daemon.policy()) {
            (peer, Some(policy)) => peer.mapped(&policy),
            (peer, None) => peer,
        };
        tracing::info!(by = %client.peer, %peer, "a client is passed on");
        let session = client.session();
        let wanted = names::wanted(&session.uri)?;
        let standing = if peer.identity.dn.is_some() { Standing::Looks } else { Standing::Unknown };
        let client = self.admit(peer, wanted, session.read_only, standing).await?;
        self.serve(client);
        Ok(())
    }
}

fn stranger(peer: &Peer) -> RpcError {
    denied(&format!("{peer} is neither the owner of this host nor of any tenant"))
}

fn no_tenant(name: &str) -> RpcError {
    denied(&format!("this user may not act for a tenant '{}' of this host", name.escape_debug()))
}

fn decoded<A: Call>(frame: &Frame) -> Result<A, RpcError> {
    xdr::decode(&frame.payload)
        .map_err(|error| RpcError::protocol(format!("Unable to decode message payload: {error}")))
}

fn answered(answer: &impl Xdr) -> Result<Answered, RpcError> {
    Ok(Answered::plain(dispatch::encoded(answer)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_everything_but_who_was_let_in_where_there_is_no_file() {
        use Standing::{LetIn, Looks, Stranger, Unknown};
        assert_eq!(LetIn.otherwise(false), Some(Otherwise::Everything));
        for (standing, has_file) in [(LetIn, true), (Unknown, true), (Looks, true), (Looks, false)] {
            assert_eq!(standing.otherwise(has_file), Some(Otherwise::Defaults), "{standing:?} {has_file}");
        }
        for (standing, has_file) in [(Unknown, false), (Stranger, false), (Stranger, true)] {
            assert_eq!(standing.otherwise(has_file), None, "{standing:?} {has_file}");
        }
    }
}
