//! Disks as files: how large they are, what is in them, and when they grow.

use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;

use hostler_domains::{DiskSummary, DomainIdentity, LayerSummary};
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::wire::{
    DomainBlockPeek, DomainBlockPeekAnswer, DomainGetBlockInfo, DomainGetBlockInfoAnswer,
    DomainSetBlockThreshold,
};
use hostler_rpc::xdr::Opaque;

use super::only;
use crate::client::{Client, reference};
use crate::dispatch::{Incoming, Work, routes};
use crate::failure;

/// Bytes that a file is counted in by the system.
const SECTOR: u64 = 512;

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming;
        DomainGetBlockInfo => info,
        DomainBlockPeek => peek,
        DomainSetBlockThreshold => threshold,
    }
}

fn unknown(named: &str) -> RpcError {
    let detail = format!("invalid path {named} not assigned to domain");
    RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_QEMU, detail)
}

/// The disk with this target, or that writes to this file.
async fn disk(client: &Client, domain: &DomainIdentity, named: &str) -> Result<DiskSummary, RpcError> {
    let shown = client.host().show(&reference(domain)).await.map_err(|error| failure::of_domain(&error))?;
    let found = shown.disks.into_iter().find(|disk| {
        let active = disk.chain.iter().flatten().next();
        disk.target == named || active.is_some_and(|layer| layer.path.as_os_str() == named)
    });
    found.ok_or_else(|| unknown(named))
}

fn active(disk: DiskSummary) -> Result<LayerSummary, RpcError> {
    let failed = |detail: String| RpcError::new(codes::ERR_OPERATION_FAILED, codes::FROM_QEMU, detail);
    let chain = disk.chain.map_err(failed)?;
    chain.into_iter().next().ok_or_else(|| {
        let detail = format!("disk '{}' does not currently have a source assigned", disk.target);
        RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_QEMU, detail)
    })
}

fn unreadable(layer: &LayerSummary, error: &std::io::Error) -> RpcError {
    let detail = format!("cannot read '{}': {error}", layer.path.display());
    RpcError::new(codes::ERR_SYSTEM_ERROR, codes::FROM_QEMU, detail)
}

async fn info(client: Arc<Client>, call: DomainGetBlockInfo) -> Result<DomainGetBlockInfoAnswer, RpcError> {
    only(call.flags, 0, "virDomainGetBlockInfo")?;
    let domain = client.domain(&call.dom).await?;
    let disk = disk(&client, &domain, &call.path).await?;
    let target = disk.target.clone();
    let layer = active(disk)?;
    let facts = std::fs::metadata(&layer.path).map_err(|error| unreadable(&layer, &error))?;
    let capacity = layer.virtual_size;
    if facts.is_file() {
        let (allocation, physical) = (facts.blocks() * SECTOR, facts.len());
        return Ok(DomainGetBlockInfoAnswer { allocation, capacity, physical });
    }
    // A device is all there; how far a guest has written to it, its hypervisor knows.
    let physical = layer.allocated.max(capacity);
    let allocation = match domain.run_number {
        Some(_) => highest_write(&client, &domain, &target).await?.unwrap_or(physical),
        None => physical,
    };
    Ok(DomainGetBlockInfoAnswer { allocation, capacity, physical })
}

async fn highest_write(
    client: &Client,
    domain: &DomainIdentity,
    target: &str,
) -> Result<Option<u64>, RpcError> {
    let stats = client.host().stats(&[reference(domain)]).await;
    let counters =
        stats.map_err(|error| failure::of_domain(&error))?.into_iter().flat_map(|stats| stats.counters);
    let counters: Vec<_> = counters.collect();
    let value =
        |name: &str| counters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let index = (0..).take_while(|index| value(&format!("block.{index}.name")).is_some());
    let index = index.into_iter().find(|index: &u32| value(&format!("block.{index}.name")) == Some(target));
    Ok(index.and_then(|index| value(&format!("block.{index}.allocation"))?.parse().ok()))
}

/// What is in a disk whose bytes are those that its guest sees.
async fn peek(client: Arc<Client>, call: DomainBlockPeek) -> Result<DomainBlockPeekAnswer, RpcError> {
    only(call.flags, 0, "virDomainBlockPeek")?;
    let domain = client.domain(&call.dom).await?;
    let disk = disk(&client, &domain, &call.path).await?;
    let place = (call.offset, call.size);
    let buffer = client.host().peek_disk(&reference(&domain), &disk.target, place).await;
    let buffer = buffer.map_err(|error| failure::of_domain(&error))?;
    Ok(DomainBlockPeekAnswer { buffer: Opaque(buffer) })
}

/// Has it told when a layer grows beyond so many bytes: the active one of `vda`, the third one of `vda[2]`.
async fn threshold(client: Arc<Client>, call: DomainSetBlockThreshold) -> Result<(), RpcError> {
    only(call.flags, 0, "virDomainSetBlockThreshold")?;
    let (target, layer) = place_in(&call.dev).ok_or_else(|| unknown(&call.dev))?;
    let domain = super::counters::running(&client, &call.dom).await?;
    let set = client.host().watch_writes(&reference(&domain), (target, layer), call.threshold).await;
    set.map_err(|error| failure::of_domain(&error))
}

/// A disk and one of its layers, as clients write that.
fn place_in(name: &str) -> Option<(&str, u32)> {
    match name.split_once('[') {
        None => Some((name, 0)),
        Some((target, rest)) => Some((target, rest.strip_suffix(']')?.parse().ok()?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_named_by_their_numbers() {
        assert_eq!(place_in("vda"), Some(("vda", 0)));
        assert_eq!(place_in("vda[2]"), Some(("vda", 2)));
        assert_eq!((place_in("vda[2"), place_in("vda[x]")), (None, None));
    }
}
