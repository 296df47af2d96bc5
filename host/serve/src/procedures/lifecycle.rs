//! What is done to a guest that runs.

use std::sync::Arc;
use std::time::Duration;

use hostler_domains::{AskBy, DomainRef, DomainSummary, Error, Host, RunState};
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::wire::{
    DomainDestroy, DomainDestroyFlags, DomainHandle, DomainReboot, DomainReset, DomainResume, DomainShutdown,
    DomainShutdownFlags, DomainSuspend,
};

use super::{invalid, only};
use crate::client::{Client, reference};
use crate::dispatch::{Incoming, Work, routes};
use crate::failure;

/// Asking a guest through its power button.
const BY_POWER_BUTTON: u32 = 1;
/// Asking a guest through the agent in it.
const BY_AGENT: u32 = 2;
/// All ways that clients know.
const WAYS: u32 = 31;
/// The flag by which a hypervisor is given time to write what it holds. It always is.
const GRACEFUL: u32 = 1;
/// How long the end of a domain waits for a change that goes on: that may be stuck in what is to end.
const TURN: Duration = Duration::from_millis(500);

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming;
        DomainSuspend => suspend,
        DomainResume => resume,
        DomainShutdown => shutdown,
        DomainShutdownFlags => shutdown_with_flags,
        DomainReboot => reboot,
        DomainReset => reset,
        DomainDestroy => destroy,
        DomainDestroyFlags => destroy_with_flags,
    }
}

/// One verb of the library on a domain that runs, in its turn.
async fn carry_out(
    client: &Client,
    dom: &DomainHandle,
    verb: impl AsyncFnOnce(&Host, DomainRef) -> Result<DomainSummary, Error>,
) -> Result<(), RpcError> {
    let (domain, _job) = client.change(dom).await?;
    if domain.run_number.is_none() {
        return Err(invalid("domain is not running"));
    }
    verb(client.host(), reference(&domain)).await.map(drop).map_err(|error| failure::of_domain(&error))
}

async fn suspend(client: Arc<Client>, call: DomainSuspend) -> Result<(), RpcError> {
    carry_out(&client, &call.dom, async |host, domain| {
        let now = host.summary(&domain).await?;
        // It stands still already: clients expect no error.
        if now.state == RunState::Paused { Ok(now) } else { host.suspend(&domain).await }
    })
    .await
}

async fn resume(client: Arc<Client>, call: DomainResume) -> Result<(), RpcError> {
    carry_out(&client, &call.dom, async |host, domain| host.resume(&domain).await).await
}

async fn shutdown(client: Arc<Client>, call: DomainShutdown) -> Result<(), RpcError> {
    carry_out(&client, &call.dom, async |host, domain| host.shutdown(&domain, AskBy::Machine).await).await
}

async fn shutdown_with_flags(client: Arc<Client>, call: DomainShutdownFlags) -> Result<(), RpcError> {
    let by = way(call.flags, "virDomainShutdownFlags")?;
    carry_out(&client, &call.dom, async |host, domain| host.shutdown(&domain, by).await).await
}

async fn reboot(client: Arc<Client>, call: DomainReboot) -> Result<(), RpcError> {
    let by = way(call.flags, "virDomainReboot")?;
    carry_out(&client, &call.dom, async |host, domain| host.reboot(&domain, by).await).await
}

/// Of several ways that are asked for, any will do.
fn way(flags: u32, function: &str) -> Result<AskBy, RpcError> {
    only(flags, WAYS, function)?;
    if flags == 0 || flags & BY_POWER_BUTTON != 0 {
        return Ok(AskBy::Machine);
    }
    if flags & BY_AGENT != 0 {
        return Ok(AskBy::Agent);
    }
    let detail = "a guest is asked through its power button or its agent only";
    Err(RpcError::new(codes::ERR_OPERATION_UNSUPPORTED, codes::FROM_QEMU, detail))
}

async fn reset(client: Arc<Client>, call: DomainReset) -> Result<(), RpcError> {
    only(call.flags, 0, "virDomainReset")?;
    carry_out(&client, &call.dom, async |host, domain| host.reset(&domain).await).await
}

async fn destroy(client: Arc<Client>, call: DomainDestroy) -> Result<(), RpcError> {
    end(&client, &call.dom).await
}

async fn destroy_with_flags(client: Arc<Client>, call: DomainDestroyFlags) -> Result<(), RpcError> {
    only(call.flags, GRACEFUL, "virDomainDestroyFlags")?;
    end(&client, &call.dom).await
}

/// Ends a domain, in its turn if that comes soon, and out of turn if not.
async fn end(client: &Client, dom: &DomainHandle) -> Result<(), RpcError> {
    let uuid = client.domain(dom).await?.uuid;
    let _job = client.server.jobs.begin_within(uuid, TURN).await;
    let domain = client.domain(dom).await?;
    if domain.run_number.is_none() {
        return Err(invalid("domain is not running"));
    }
    let ended = client.host().destroy(&reference(&domain)).await;
    ended.map(drop).map_err(|error| failure::of_domain(&error))
}
