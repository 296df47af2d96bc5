//! Domains that are started after a boot.

use std::sync::Arc;

use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::wire::{DomainGetAutostart, DomainGetAutostartAnswer, DomainSetAutostart};

use crate::client::{Client, reference};
use crate::dispatch::{Incoming, Work, routes};
use crate::failure;

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming; DomainGetAutostart => get, DomainSetAutostart => set, }
}

async fn get(client: Arc<Client>, call: DomainGetAutostart) -> Result<DomainGetAutostartAnswer, RpcError> {
    let domain = client.domain(&call.dom).await?;
    let summary = client.host().summary(&reference(&domain)).await;
    let summary = summary.map_err(|error| failure::of_domain(&error))?;
    Ok(DomainGetAutostartAnswer { autostart: i32::from(summary.autostart) })
}

async fn set(client: Arc<Client>, call: DomainSetAutostart) -> Result<(), RpcError> {
    let (domain, _job) = client.change(&call.dom).await?;
    if !domain.persistent {
        let detail = "cannot set autostart for transient domain";
        return Err(RpcError::new(codes::ERR_OPERATION_INVALID, codes::FROM_QEMU, detail));
    }
    let set = client.host().set_autostart(&reference(&domain), call.autostart != 0).await;
    set.map(drop).map_err(|error| failure::of_domain(&error))
}
