//! What a domain is and does. Nothing here waits for a change of it.

use std::sync::Arc;

use hostler_domain::{Document, NodeId, XmlError};
use hostler_domains::{DomainSummary, RunState, Which, process_counters};
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::wire::{
    DomainGetControlInfo, DomainGetControlInfoAnswer, DomainGetInfo, DomainGetInfoAnswer, DomainGetMaxMemory,
    DomainGetMaxMemoryAnswer, DomainGetMaxVcpus, DomainGetMaxVcpusAnswer, DomainGetMessages,
    DomainGetMessagesAnswer, DomainGetOsType, DomainGetOsTypeAnswer, DomainGetState, DomainGetStateAnswer,
    DomainHandle, DomainHasCurrentSnapshot, DomainHasCurrentSnapshotAnswer, DomainHasManagedSaveImage,
    DomainHasManagedSaveImageAnswer, DomainIsActive, DomainIsActiveAnswer, DomainIsPersistent,
    DomainIsPersistentAnswer, DomainIsUpdated, DomainIsUpdatedAnswer,
};
use hostler_rpc::xdr::List;

use super::counters::running;
use super::{count, invalid, only};
use crate::client::{Client, reference};
use crate::dispatch::{Incoming, Work, routes};
use crate::failure;

/// Bytes of the unit that memory is counted in.
const KIB: u64 = 1_024;

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming;
        DomainGetInfo => info,
        DomainGetState => state,
        DomainIsActive => is_active,
        DomainIsPersistent => is_persistent,
        DomainIsUpdated => is_updated,
        DomainGetOsType => os_type,
        DomainGetMaxMemory => max_memory,
        DomainGetMaxVcpus => max_vcpus,
        DomainGetControlInfo => control_info,
        DomainGetMessages => messages,
        DomainHasManagedSaveImage => has_saved_guest,
        DomainHasCurrentSnapshot => has_current_snapshot,
    }
}

async fn summary(client: &Client, dom: &DomainHandle) -> Result<DomainSummary, RpcError> {
    let domain = client.domain(dom).await?;
    client.host().summary(&reference(&domain)).await.map_err(|error| failure::of_domain(&error))
}

async fn info(client: Arc<Client>, call: DomainGetInfo) -> Result<DomainGetInfoAnswer, RpcError> {
    let summary = summary(&client, &call.dom).await?;
    let counters = summary.pid.map(process_counters).unwrap_or_default();
    let time = counters.iter().find(|(name, _)| name == "cpu.time").and_then(|(_, value)| value.parse().ok());
    let (state, _) = state_of(summary.state, summary.reason.as_deref());
    Ok(DomainGetInfoAnswer {
        state: u8::try_from(state).unwrap_or_default(),
        max_mem: summary.memory_bytes / KIB,
        memory: summary.current_memory_bytes / KIB,
        nr_virt_cpu: u16::try_from(summary.current_vcpus).unwrap_or(u16::MAX),
        cpu_time: time.unwrap_or(0),
    })
}

async fn state(client: Arc<Client>, call: DomainGetState) -> Result<DomainGetStateAnswer, RpcError> {
    only(call.flags, 0, "virDomainGetState")?;
    let domain = client.domain(&call.dom).await?;
    let standing = client.host().standing(&reference(&domain)).await;
    let standing = standing.map_err(|error| failure::of_domain(&error))?;
    let (state, reason) = state_of(standing.state, standing.reason.as_deref());
    Ok(DomainGetStateAnswer { state, reason })
}

/// What it does, and why, in libvirt's numbers.
pub(super) fn state_of(state: RunState, reason: Option<&str>) -> (i32, i32) {
    match state {
        RunState::Off => (5, off_reason(reason.unwrap_or_default())),
        // Booted; stopped by its user; asked to by its user.
        RunState::Running => (1, 1),
        RunState::Starting => (3, 11),
        RunState::Paused => (3, paused_reason(reason.unwrap_or_default())),
        RunState::ShuttingDown => (4, 1),
        RunState::Crashed => (6, 1),
        RunState::Sleeping => (7, 0),
        // Nobody knows.
        RunState::Quarantined => (0, 0),
    }
}

/// Stopped by its user where nothing else is known.
fn paused_reason(reason: &str) -> i32 {
    match reason {
        "migration" => 2,
        "io-error" => 5,
        "watchdog" => 6,
        _ => 1,
    }
}

fn off_reason(reason: &str) -> i32 {
    const REASONS: [&str; 6] = ["shutdown", "destroyed", "crashed", "migrated", "saved", "failed"];
    let word = reason.split(' ').next().unwrap_or_default();
    let found = REASONS.iter().position(|reason| *reason == word);
    found.map_or(0, |at| count::<i32>(at) + 1)
}

async fn is_active(client: Arc<Client>, call: DomainIsActive) -> Result<DomainIsActiveAnswer, RpcError> {
    Ok(DomainIsActiveAnswer { active: i32::from(client.domain(&call.dom).await?.run_number.is_some()) })
}

async fn is_persistent(
    client: Arc<Client>,
    call: DomainIsPersistent,
) -> Result<DomainIsPersistentAnswer, RpcError> {
    Ok(DomainIsPersistentAnswer { persistent: i32::from(client.domain(&call.dom).await?.persistent) })
}

/// Whether what it runs with is something else than what is defined.
async fn is_updated(client: Arc<Client>, call: DomainIsUpdated) -> Result<DomainIsUpdatedAnswer, RpcError> {
    let domain = reference(&client.domain(&call.dom).await?);
    let failed = |error: hostler_domains::Error| failure::of_domain(&error);
    let current = client.host().xml(&domain, Which::Current).await.map_err(failed)?;
    let stored = client.host().xml(&domain, Which::Stored).await.map_err(failed)?;
    let is_same = is_same_but_for_its_run(&current, &stored).map_err(|error| {
        RpcError::new(
            codes::ERR_XML_ERROR,
            codes::FROM_DOMAIN,
            format!("the document cannot be read: {error}"),
        )
    })?;
    Ok(DomainIsUpdatedAnswer { updated: i32::from(!is_same) })
}

/// Whether a document of a run says what a definition does, but for what is true of that run alone.
fn is_same_but_for_its_run(running: &str, stored: &str) -> Result<bool, XmlError> {
    let (mut running, stored) = (Document::parse(running)?, Document::parse(stored)?);
    if let Some(devices) = running.child(running.root(), "devices") {
        running.forget_run(devices)?;
    }
    Ok(is_same((&running, running.root()), (&stored, stored.root())))
}

fn is_same((document, element): (&Document, NodeId), (other, its): (&Document, NodeId)) -> bool {
    let said = |document: &Document, element| {
        let attributes = document.attributes(element).iter();
        let mut said: Vec<_> = attributes.map(|one| (one.name.clone(), one.value.clone())).collect();
        said.sort_unstable();
        (document.name(element).to_owned(), said, document.text(element).trim().to_owned())
    };
    let (own, theirs): (Vec<_>, Vec<_>) =
        (document.elements(element).collect(), other.elements(its).collect());
    said(document, element) == said(other, its)
        && own.len() == theirs.len()
        && own.into_iter().zip(theirs).all(|(own, its)| is_same((document, own), (other, its)))
}

/// Every guest is a whole machine.
async fn os_type(client: Arc<Client>, call: DomainGetOsType) -> Result<DomainGetOsTypeAnswer, RpcError> {
    client.domain(&call.dom).await?;
    Ok(DomainGetOsTypeAnswer { r#type: "hvm".to_owned() })
}

async fn max_memory(
    client: Arc<Client>,
    call: DomainGetMaxMemory,
) -> Result<DomainGetMaxMemoryAnswer, RpcError> {
    Ok(DomainGetMaxMemoryAnswer { memory: summary(&client, &call.dom).await?.memory_bytes / KIB })
}

async fn max_vcpus(
    client: Arc<Client>,
    call: DomainGetMaxVcpus,
) -> Result<DomainGetMaxVcpusAnswer, RpcError> {
    running(&client, &call.dom).await?;
    let vcpus = summary(&client, &call.dom).await?.vcpus;
    Ok(DomainGetMaxVcpusAnswer { num: i32::try_from(vcpus).unwrap_or(i32::MAX) })
}

async fn control_info(
    client: Arc<Client>,
    call: DomainGetControlInfo,
) -> Result<DomainGetControlInfoAnswer, RpcError> {
    const NOTHING: u32 = 0;
    const JOB: u32 = 1;
    only(call.flags, 0, "virDomainGetControlInfo")?;
    let domain = client.domain(&call.dom).await?;
    if domain.run_number.is_none() {
        return Err(invalid("domain is not running"));
    }
    let free = client.server.jobs.begin_within(domain.uuid, std::time::Duration::ZERO).await.is_some();
    let state = if free { NOTHING } else { JOB };
    Ok(DomainGetControlInfoAnswer { state, details: 0, state_time: 0 })
}

/// What an operator should know of it; nothing is known of any.
async fn messages(client: Arc<Client>, call: DomainGetMessages) -> Result<DomainGetMessagesAnswer, RpcError> {
    const DEPRECATION: u32 = 1;
    const TAINTING: u32 = 2;
    only(call.flags, DEPRECATION | TAINTING, "virDomainGetMessages")?;
    client.domain(&call.dom).await?;
    Ok(DomainGetMessagesAnswer { msgs: List(Vec::new()) })
}

async fn has_saved_guest(
    client: Arc<Client>,
    call: DomainHasManagedSaveImage,
) -> Result<DomainHasManagedSaveImageAnswer, RpcError> {
    only(call.flags, 0, "virDomainHasManagedSaveImage")?;
    let domain = client.domain(&call.dom).await?;
    Ok(DomainHasManagedSaveImageAnswer { result: i32::from(client.host().has_saved_guest(domain.uuid)) })
}

async fn has_current_snapshot(
    client: Arc<Client>,
    call: DomainHasCurrentSnapshot,
) -> Result<DomainHasCurrentSnapshotAnswer, RpcError> {
    only(call.flags, 0, "virDomainHasCurrentSnapshot")?;
    let domain = client.domain(&call.dom).await?;
    let snapshots = client.host().snapshot_list(&reference(&domain)).await;
    let snapshots = snapshots.map_err(|error| failure::of_domain(&error))?;
    Ok(DomainHasCurrentSnapshotAnswer { result: i32::from(snapshots.iter().any(|found| found.current)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_with_names_of_its_own_is_no_other_than_its_definition() {
        let document = |rng: &str| format!("<domain type='kvm'><devices>{rng}</devices></domain>");
        let stored = document("<rng model='virtio'/>");
        let same = |running: &str| is_same_but_for_its_run(&document(running), &stored).unwrap();
        assert!(same("<rng model='virtio'><alias name='rng0'/></rng>"));
        assert!(!same("<rng model='virtio'><alias name='rng0'/><rate bytes='1'/></rng>"));
        assert!(!same("<rng model='other'/>") && !same(""));
        assert!(is_same_but_for_its_run("<domain", &stored).is_err());
    }
}
