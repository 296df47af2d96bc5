//! Finding domains: by name, by identifier, by number, all of them.

use std::sync::Arc;

use hostler_domains::{DomainIdentity, DomainRef, RunState};
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::wire::{
    ConnectListAllDomains, ConnectListAllDomainsAnswer, ConnectListDefinedDomains,
    ConnectListDefinedDomainsAnswer, ConnectListDomains, ConnectListDomainsAnswer,
    ConnectNumOfDefinedDomains, ConnectNumOfDefinedDomainsAnswer, ConnectNumOfDomains,
    ConnectNumOfDomainsAnswer, DomainHandle, DomainLookupById, DomainLookupByIdAnswer, DomainLookupByName,
    DomainLookupByNameAnswer, DomainLookupByUuid, DomainLookupByUuidAnswer,
};
use hostler_rpc::xdr::List;
use uuid::Uuid;

use super::{count, meets};
use crate::access::object::Object;
use crate::client::{Client, handle, into_handle, reference};
use crate::dispatch::{Incoming, Work, routes};
use crate::failure;

/// Pairs of flags, of which one alone asks for one kind.
mod filter {
    pub(super) const ACTIVE: u32 = 1;
    pub(super) const INACTIVE: u32 = 1 << 1;
    pub(super) const PERSISTENT: u32 = 1 << 2;
    pub(super) const TRANSIENT: u32 = 1 << 3;
    pub(super) const RUNNING: u32 = 1 << 4;
    pub(super) const PAUSED: u32 = 1 << 5;
    pub(super) const OFF: u32 = 1 << 6;
    pub(super) const OTHER: u32 = 1 << 7;
    pub(super) const SAVED: u32 = 1 << 8;
    pub(super) const NOT_SAVED: u32 = 1 << 9;
    pub(super) const AUTOSTART: u32 = 1 << 10;
    pub(super) const NO_AUTOSTART: u32 = 1 << 11;
    pub(super) const SNAPSHOT: u32 = 1 << 12;
    pub(super) const NO_SNAPSHOT: u32 = 1 << 13;
    pub(super) const CHECKPOINT: u32 = 1 << 14;
    pub(super) const NO_CHECKPOINT: u32 = 1 << 15;
    pub(super) const ALL: u32 = (1 << 16) - 1;
}

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming;
        DomainLookupByName => by_name,
        DomainLookupByUuid => by_uuid,
        DomainLookupById => by_number,
        ConnectListAllDomains => list_all,
        ConnectNumOfDomains => num_of_active,
        ConnectListDomains => list_active,
        ConnectNumOfDefinedDomains => num_of_inactive,
        ConnectListDefinedDomains => list_inactive,
    }
}

async fn by_name(
    client: Arc<Client>,
    call: DomainLookupByName,
) -> Result<DomainLookupByNameAnswer, RpcError> {
    let found = client.host().identity_if_there(&DomainRef::new(&call.name)).await;
    match found.map_err(|error| failure::of_domain(&error))? {
        // An identifier finds a domain too, but not by this name.
        Some(domain) if domain.name == call.name => Ok(DomainLookupByNameAnswer { dom: handle(&domain) }),
        _ => Err(missing(format!("no domain with matching name '{}'", call.name))),
    }
}

async fn by_uuid(
    client: Arc<Client>,
    call: DomainLookupByUuid,
) -> Result<DomainLookupByUuidAnswer, RpcError> {
    let uuid = Uuid::from_bytes(call.uuid);
    let found = client.host().identity_if_there(&DomainRef::new(uuid.to_string())).await;
    match found.map_err(|error| failure::of_domain(&error))? {
        Some(domain) => Ok(DomainLookupByUuidAnswer { dom: handle(&domain) }),
        None => Err(missing(format!("no domain with matching uuid '{uuid}'"))),
    }
}

async fn by_number(client: Arc<Client>, call: DomainLookupById) -> Result<DomainLookupByIdAnswer, RpcError> {
    let dom = all(&client).await?.iter().map(handle).find(|dom| dom.id == call.id && dom.id >= 0);
    let dom = dom.ok_or_else(|| missing(format!("no domain with matching id {}", call.id)))?;
    Ok(DomainLookupByIdAnswer { dom })
}

fn missing(detail: String) -> RpcError {
    RpcError::new(codes::ERR_NO_DOMAIN, codes::FROM_QEMU, detail)
}

async fn all(client: &Client) -> Result<Vec<DomainIdentity>, RpcError> {
    client.host().identities().await.map_err(|error| failure::of_domain(&error))
}

async fn list_all(
    client: Arc<Client>,
    call: ConnectListAllDomains,
) -> Result<ConnectListAllDomainsAnswer, RpcError> {
    super::only(call.flags, filter::ALL, "virConnectListAllDomains")?;
    let domains = filtered(&client, call.flags).await?;
    let ret = count(domains.len());
    let domains = if call.need_results == 0 { Vec::new() } else { domains };
    Ok(ConnectListAllDomainsAnswer { domains: List(domains), ret })
}

/// The domains that flags ask for and the client may see. Hypervisors are asked only where flags ask for what only they know.
pub(super) async fn filtered(client: &Client, flags: u32) -> Result<Vec<DomainHandle>, RpcError> {
    let all = all(client).await?;
    let mut found = Vec::with_capacity(all.len());
    for domain in all {
        let object = Object::domain(&domain.name, domain.uuid, &domain.driver);
        if client.sees("domain.getattr", &object) && fits(client, &domain, flags).await? {
            found.push(into_handle(domain));
        }
    }
    Ok(found)
}

async fn fits(client: &Client, domain: &DomainIdentity, flags: u32) -> Result<bool, RpcError> {
    // Of a pair, neither asks for both.
    let pair = |yes, no, is| meets(flags, (yes, no), is);
    if !pair(filter::ACTIVE, filter::INACTIVE, domain.run_number.is_some())
        || !pair(filter::PERSISTENT, filter::TRANSIENT, domain.persistent)
        || !pair(filter::CHECKPOINT, filter::NO_CHECKPOINT, false)
    {
        return Ok(false);
    }
    // Looked at only where it is asked for: a listing of all is of many.
    if flags & (filter::SAVED | filter::NOT_SAVED) != 0
        && !pair(filter::SAVED, filter::NOT_SAVED, client.host().has_saved_guest(domain.uuid))
    {
        return Ok(false);
    }
    let states = flags & (filter::RUNNING | filter::PAUSED | filter::OFF | filter::OTHER);
    if states != 0 || flags & (filter::AUTOSTART | filter::NO_AUTOSTART) != 0 {
        let summary = client.host().summary(&reference(domain)).await;
        let summary = summary.map_err(|error| failure::of_domain(&error))?;
        let state = match summary.state {
            RunState::Running => filter::RUNNING,
            RunState::Paused => filter::PAUSED,
            RunState::Off => filter::OFF,
            _ => filter::OTHER,
        };
        if (states != 0 && states & state == 0)
            || !pair(filter::AUTOSTART, filter::NO_AUTOSTART, summary.autostart)
        {
            return Ok(false);
        }
    }
    if flags & (filter::SNAPSHOT | filter::NO_SNAPSHOT) != 0 {
        let snapshots = client.host().snapshot_list(&reference(domain)).await;
        let snapshots = snapshots.map_err(|error| failure::of_domain(&error))?;
        return Ok(pair(filter::SNAPSHOT, filter::NO_SNAPSHOT, !snapshots.is_empty()));
    }
    Ok(true)
}

async fn num_of_active(
    client: Arc<Client>,
    _: ConnectNumOfDomains,
) -> Result<ConnectNumOfDomainsAnswer, RpcError> {
    Ok(ConnectNumOfDomainsAnswer { num: count(filtered(&client, filter::ACTIVE).await?.len()) })
}

async fn list_active(
    client: Arc<Client>,
    call: ConnectListDomains,
) -> Result<ConnectListDomainsAnswer, RpcError> {
    let room = usize::try_from(call.maxids).unwrap_or(0);
    let ids = filtered(&client, filter::ACTIVE).await?.iter().map(|domain| domain.id).take(room).collect();
    Ok(ConnectListDomainsAnswer { ids: List(ids) })
}

async fn num_of_inactive(
    client: Arc<Client>,
    _: ConnectNumOfDefinedDomains,
) -> Result<ConnectNumOfDefinedDomainsAnswer, RpcError> {
    Ok(ConnectNumOfDefinedDomainsAnswer { num: count(filtered(&client, filter::INACTIVE).await?.len()) })
}

async fn list_inactive(
    client: Arc<Client>,
    call: ConnectListDefinedDomains,
) -> Result<ConnectListDefinedDomainsAnswer, RpcError> {
    let room = usize::try_from(call.maxnames).unwrap_or(0);
    let domains = filtered(&client, filter::INACTIVE).await?;
    Ok(ConnectListDefinedDomainsAnswer {
        names: List(domains.into_iter().map(|domain| domain.name).take(room).collect()),
    })
}
