//! Guests that are put away into files, and brought back.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hostler_domains::{SaveOptions, StartOptions};
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::wire::{
    DomainHandle, DomainManagedSave, DomainRestore, DomainRestoreFlags, DomainSave, DomainSaveFlags,
};

use super::{invalid, only};
use crate::client::{Client, reference};
use crate::dispatch::{Incoming, Work, routes};
use crate::failure;

/// Flags of both: past the host's cache; running or paused afterwards; a fresh variable store.
const BYPASS_CACHE: u32 = 1;
const RUNNING: u32 = 2;
const PAUSED: u32 = 4;
const RESET_NVRAM: u32 = 8;

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming;
        DomainSave => save,
        DomainSaveFlags => save_with_flags,
        DomainManagedSave => save_with_its_domain,
        DomainRestore => restore,
        DomainRestoreFlags => restore_with_flags,
    }
}

async fn save(client: Arc<Client>, call: DomainSave) -> Result<(), RpcError> {
    saved(&client, &call.dom, Some(PathBuf::from(call.to)), 0).await
}

async fn save_with_flags(client: Arc<Client>, call: DomainSaveFlags) -> Result<(), RpcError> {
    require_own_document(call.dxml.as_deref())?;
    saved(&client, &call.dom, Some(PathBuf::from(call.to)), call.flags).await
}

async fn save_with_its_domain(client: Arc<Client>, call: DomainManagedSave) -> Result<(), RpcError> {
    saved(&client, &call.dom, None, call.flags).await
}

/// Refuses another document than the guest's own.
pub(super) fn require_own_document(xml: Option<&str>) -> Result<(), RpcError> {
    if xml.is_none() {
        return Ok(());
    }
    let detail = "a guest is put away and brought back with its own document";
    Err(RpcError::new(codes::ERR_OPERATION_UNSUPPORTED, codes::FROM_QEMU, detail))
}

/// Whether the guest is to run afterwards; nothing when that is not said.
pub(super) fn running(flags: u32) -> Result<Option<bool>, RpcError> {
    match (flags & RUNNING != 0, flags & PAUSED != 0) {
        (true, true) => {
            let detail = "a guest is either running or paused";
            Err(RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_QEMU, detail))
        }
        (false, false) => Ok(None),
        (running, _) => Ok(Some(running)),
    }
}

pub(super) async fn saved(
    client: &Client,
    dom: &DomainHandle,
    to: Option<PathBuf>,
    flags: u32,
) -> Result<(), RpcError> {
    only(flags, BYPASS_CACHE | RUNNING | PAUSED, "virDomainSaveFlags")?;
    let options = SaveOptions { to, running: running(flags)? };
    let (domain, _job) = client.change(dom).await?;
    if domain.run_number.is_none() {
        return Err(invalid("domain is not running"));
    }
    let saved = client.host().save(&reference(&domain), options).await;
    saved.map(drop).map_err(|error| failure::of_domain(&error))
}

async fn restore(client: Arc<Client>, call: DomainRestore) -> Result<(), RpcError> {
    restored(&client, Path::new(&call.from), 0).await
}

async fn restore_with_flags(client: Arc<Client>, call: DomainRestoreFlags) -> Result<(), RpcError> {
    require_own_document(call.dxml.as_deref())?;
    restored(&client, Path::new(&call.from), call.flags).await
}

pub(super) async fn restored(client: &Client, from: &Path, flags: u32) -> Result<(), RpcError> {
    only(flags, BYPASS_CACHE | RUNNING | PAUSED | RESET_NVRAM, "virDomainRestoreFlags")?;
    let options = StartOptions {
        paused: running(flags)? == Some(false),
        reset_nvram: flags & RESET_NVRAM != 0,
        force_boot: false,
    };
    let restored = client.host().restore(from, options).await;
    restored.map(drop).map_err(|error| failure::of_domain(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_is_to_run_or_not_or_nobody_says() {
        assert_eq!(running(0).unwrap(), None);
        assert_eq!(running(RUNNING).unwrap(), Some(true));
        assert_eq!(running(PAUSED | BYPASS_CACHE).unwrap(), Some(false));
        assert_eq!(running(RUNNING | PAUSED).unwrap_err().code, codes::ERR_INVALID_ARG);
    }
}
