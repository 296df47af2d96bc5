//! One client: who it is, what it has opened, what it wants to be told.

use std::sync::Arc;

use hostler_domains::{DomainIdentity, DomainRef, Host};
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::wire::DomainHandle;
use uuid::Uuid;

use crate::access::object::Object;
use crate::access::rights::Rights;
use crate::autodestroy::Autodestroy;
use crate::events::Callbacks;
use crate::failure;
use crate::jobs::Job;
use crate::outbox::Outbox;
use crate::peer::Peer;
use crate::server::Server;
use crate::streams::Streams;

/// A client that is connected, and has opened what is served to it.
pub(crate) struct Client {
    /// What is served to it: the operator's, or its tenant's.
    pub(crate) server: Arc<Server>,
    pub(crate) peer: Peer,
    pub(crate) outbox: Outbox,
    pub(crate) streams: Streams,
    pub(crate) callbacks: Callbacks,
    pub(crate) autodestroy: Autodestroy,
    session: Session,
    rights: Rights,
}

/// What a client has opened.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// What it has called it.
    pub(crate) uri: String,
    /// Whether it only reads.
    pub(crate) read_only: bool,
}

impl Client {
    pub(crate) fn new(
        server: Arc<Server>,
        peer: Peer,
        session: Session,
        rights: Rights,
        outbox: Outbox,
    ) -> Self {
        Self {
            server,
            peer,
            outbox,
            streams: Streams::default(),
            callbacks: Callbacks::default(),
            autodestroy: Autodestroy::default(),
            session,
            rights,
        }
    }

    /// The library.
    pub(crate) fn host(&self) -> &Host {
        &self.server.host
    }

    /// What it has opened.
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// What it may do.
    pub(crate) fn rights(&self) -> &Rights {
        &self.rights
    }

    /// Whether it may be shown something, by the permission that the tables name for that.
    pub(crate) fn sees(&self, permission: &str, object: &Object<'_>) -> bool {
        self.rights.is_everything() || self.rights.may(permission, object)
    }

    /// Whether it has streams, or waits for events.
    pub(crate) fn is_in_use(&self) -> bool {
        self.streams.are_open() || self.callbacks.are_wanted()
    }

    /// The domain that a handle is about. Only its identifier is believed.
    ///
    /// # Errors
    /// That there is none.
    pub(crate) async fn domain(&self, handle: &DomainHandle) -> Result<DomainIdentity, RpcError> {
        let uuid = Uuid::from_bytes(handle.uuid);
        let found = self.host().identity_if_there(&DomainRef::new(uuid.to_string())).await;
        found.map_err(|error| failure::of_domain(&error))?.ok_or_else(|| {
            let detail = format!("no domain with matching uuid '{uuid}' ({})", handle.name);
            RpcError::new(codes::ERR_NO_DOMAIN, codes::FROM_QEMU, detail)
        })
    }

    /// The domain that a handle is about, and the right to change it.
    ///
    /// # Errors
    /// That there is none, or that another change goes on for too long.
    pub(crate) async fn change(&self, handle: &DomainHandle) -> Result<(DomainIdentity, Job), RpcError> {
        let uuid = self.domain(handle).await?.uuid;
        let job = self.server.jobs.begin(uuid).await?;
        self.host().settle_snapshots(uuid).await.map_err(|error| failure::of_domain(&error))?;
        // As it is now, after whoever had it before.
        Ok((self.domain(handle).await?, job))
    }
}

/// An error of the protocol's own.
pub(crate) fn internal(detail: &str) -> RpcError {
    RpcError::new(codes::ERR_INTERNAL_ERROR, codes::FROM_RPC, detail)
}

/// How the library is asked for a domain.
pub(crate) fn reference(domain: &DomainIdentity) -> DomainRef {
    DomainRef::new(domain.uuid.to_string())
}

/// How a client is told of a domain.
pub(crate) fn handle(domain: &DomainIdentity) -> DomainHandle {
    into_handle(domain.clone())
}

/// The same of one of which nothing else is wanted.
pub(crate) fn into_handle(domain: DomainIdentity) -> DomainHandle {
    let id = domain.run_number.and_then(|number| i32::try_from(number).ok()).unwrap_or(-1);
    DomainHandle { name: domain.name, uuid: *domain.uuid.as_bytes(), id }
}
