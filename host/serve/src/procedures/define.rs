//! Definitions come, change and go; what is defined, or only described, is started.

use std::sync::Arc;

use hostler_domains::{DomainRef, StartOptions, Started, StoreFate, UndefineOptions};
use hostler_rpc::error::RpcError;
use hostler_rpc::wire::{
    DomainCreate, DomainCreateWithFlags, DomainCreateWithFlagsAnswer, DomainCreateXml, DomainCreateXmlAnswer,
    DomainDefineXml, DomainDefineXmlAnswer, DomainDefineXmlFlags, DomainDefineXmlFlagsAnswer, DomainHandle,
    DomainRename, DomainRenameAnswer, DomainUndefine, DomainUndefineFlags,
};

use super::{invalid, only};
use crate::client::{Client, handle, reference};
use crate::dispatch::{Incoming, Work, routes};
use crate::failure;

/// Flags of a start.
mod start {
    pub(super) const PAUSED: u32 = 1;
    pub(super) const AUTODESTROY: u32 = 2;
    pub(super) const BYPASS_CACHE: u32 = 4;
    pub(super) const FORCE_BOOT: u32 = 8;
    pub(super) const VALIDATE: u32 = 16;
    pub(super) const RESET_NVRAM: u32 = 32;
}

/// The flag of a definition that is to be valid. All are held to that here.
const DEFINE_VALIDATE: u32 = 1;

/// Flags of the end of a definition.
mod undefine {
    pub(super) const SAVED_GUEST: u32 = 1;
    pub(super) const SNAPSHOTS: u32 = 2;
    pub(super) const NVRAM: u32 = 4;
    pub(super) const KEEP_NVRAM: u32 = 8;
    pub(super) const CHECKPOINTS: u32 = 16;
    pub(super) const TPM: u32 = 32;
    pub(super) const KEEP_TPM: u32 = 64;
    pub(super) const ALL: u32 = 127;
}

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming;
        DomainDefineXml => define,
        DomainDefineXmlFlags => define_with_flags,
        DomainCreateXml => create_from_document,
        DomainCreate => create,
        DomainCreateWithFlags => create_with_flags,
        DomainUndefine => undefine_plainly,
        DomainUndefineFlags => undefine_with_flags,
        DomainRename => rename,
    }
}

async fn define(client: Arc<Client>, call: DomainDefineXml) -> Result<DomainDefineXmlAnswer, RpcError> {
    Ok(DomainDefineXmlAnswer { dom: defined(&client, &call.xml).await? })
}

async fn define_with_flags(
    client: Arc<Client>,
    call: DomainDefineXmlFlags,
) -> Result<DomainDefineXmlFlagsAnswer, RpcError> {
    only(call.flags, DEFINE_VALIDATE, "virDomainDefineXMLFlags")?;
    Ok(DomainDefineXmlFlagsAnswer { dom: defined(&client, &call.xml).await? })
}

async fn defined(client: &Client, xml: &str) -> Result<DomainHandle, RpcError> {
    let defined = client.host().define(xml).await.map_err(|error| failure::of_domain(&error))?;
    identified(client, &DomainRef::new(defined.summary.uuid.to_string())).await
}

async fn identified(client: &Client, domain: &DomainRef) -> Result<DomainHandle, RpcError> {
    let identity = client.host().identity(domain).await.map_err(|error| failure::of_domain(&error))?;
    Ok(handle(&identity))
}

async fn create_from_document(
    client: Arc<Client>,
    call: DomainCreateXml,
) -> Result<DomainCreateXmlAnswer, RpcError> {
    let known = start::PAUSED | start::AUTODESTROY | start::VALIDATE | start::RESET_NVRAM;
    only(call.flags, known, "virDomainCreateXML")?;
    let started = client.host().run_in_place(&call.xml_desc, options(call.flags)).await;
    Ok(DomainCreateXmlAnswer { dom: of_started(&client, started, call.flags).await? })
}

async fn create(client: Arc<Client>, call: DomainCreate) -> Result<(), RpcError> {
    started(&client, &call.dom, 0).await.map(drop)
}

async fn create_with_flags(
    client: Arc<Client>,
    call: DomainCreateWithFlags,
) -> Result<DomainCreateWithFlagsAnswer, RpcError> {
    let known =
        start::PAUSED | start::AUTODESTROY | start::BYPASS_CACHE | start::FORCE_BOOT | start::RESET_NVRAM;
    only(call.flags, known, "virDomainCreateWithFlags")?;
    Ok(DomainCreateWithFlagsAnswer { dom: started(&client, &call.dom, call.flags).await? })
}

async fn started(client: &Client, dom: &DomainHandle, flags: u32) -> Result<DomainHandle, RpcError> {
    let (domain, _job) = client.change(dom).await?;
    if domain.run_number.is_some() {
        return Err(invalid("domain is already running"));
    }
    of_started(client, client.host().start(&reference(&domain), options(flags)).await, flags).await
}

async fn of_started(
    client: &Client,
    started: Result<Started, hostler_domains::Error>,
    flags: u32,
) -> Result<DomainHandle, RpcError> {
    let started = started.map_err(|error| failure::of_domain(&error))?;
    let domain = DomainRef::new(started.summary.uuid.to_string());
    let identity = client.host().identity(&domain).await.map_err(|error| failure::of_domain(&error))?;
    let handle = handle(&identity);
    if flags & start::AUTODESTROY != 0 {
        client.autodestroy.add(identity);
    }
    Ok(handle)
}

fn options(flags: u32) -> StartOptions {
    StartOptions {
        paused: flags & start::PAUSED != 0,
        reset_nvram: flags & start::RESET_NVRAM != 0,
        force_boot: flags & start::FORCE_BOOT != 0,
    }
}

async fn undefine_plainly(client: Arc<Client>, call: DomainUndefine) -> Result<(), RpcError> {
    undefined(&client, &call.dom, 0).await
}

async fn undefine_with_flags(client: Arc<Client>, call: DomainUndefineFlags) -> Result<(), RpcError> {
    only(call.flags, undefine::ALL, "virDomainUndefineFlags")?;
    undefined(&client, &call.dom, call.flags).await
}

async fn undefined(client: &Client, dom: &DomainHandle, flags: u32) -> Result<(), RpcError> {
    let has = |flag: u32| flags & flag != 0;
    let both =
        has(undefine::NVRAM) && has(undefine::KEEP_NVRAM) || has(undefine::TPM) && has(undefine::KEEP_TPM);
    if both {
        return Err(invalid("a flag to keep and a flag to remove exclude each other"));
    }
    let (domain, _job) = client.change(dom).await?;
    if !domain.persistent {
        return Err(invalid("cannot undefine transient domain"));
    }
    let options = UndefineOptions {
        nvram: if has(undefine::NVRAM) { StoreFate::Delete } else { StoreFate::Keep },
        saved_guest: has(undefine::SAVED_GUEST),
        snapshots: has(undefine::SNAPSHOTS | undefine::CHECKPOINTS),
    };
    let undefined = client.host().undefine(&reference(&domain), options).await;
    undefined.map(drop).map_err(|error| failure::of_domain(&error))
}

async fn rename(client: Arc<Client>, call: DomainRename) -> Result<DomainRenameAnswer, RpcError> {
    only(call.flags, 0, "virDomainRename")?;
    let (domain, _job) = client.change(&call.dom).await?;
    if domain.run_number.is_some() {
        return Err(invalid("cannot rename active domain"));
    }
    let name = call.new_name.unwrap_or_default();
    if name == domain.name {
        return Err(invalid("Can't rename domain to itself"));
    }
    let renamed = client.host().rename(&reference(&domain), &name).await;
    renamed.map_err(|error| failure::of_domain(&error))?;
    Ok(DomainRenameAnswer { retcode: 0 })
}
