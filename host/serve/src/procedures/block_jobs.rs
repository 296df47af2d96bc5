//! Long work on the disks of running guests.
//!
//! How libvirt's jobs are the library's: a job begins, and the call returns. A pull, or a commit that leaves the active layer
//! alone, is settled by the daemon as soon as the hypervisor says that it is over, as every other event of a guest is seen to.
//! A commit of the active layer comes to be ready and stays so, through the daemon's end as well, until a client says how it
//! ends: with a pivot the guest goes on with the base, without one with the layer it has. Nothing but the client pivots.

use std::sync::Arc;

use hostler_domains::{
    BlockJobKind, BlockJobState, BlockJobSummary, CommitOptions, DiskResizeOptions, DomainIdentity, Ending,
    Error, LayerSummary, PullOptions, Resize,
};
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::wire::{
    DomainBlockCommit, DomainBlockJobAbort, DomainBlockJobSetSpeed, DomainBlockPull, DomainBlockRebase,
    DomainBlockResize, DomainGetBlockJobInfo, DomainGetBlockJobInfoAnswer, DomainHandle,
};

use super::{block_copy, invalid, only};
use crate::client::{Client, reference};
use crate::dispatch::{Incoming, Work, routes};
use crate::events::meaning::job_type;
use crate::failure;

const MIB: u64 = 1 << 20;

/// Flags of a commit: only into the layer right below; remove what is left out; the active layer too; names in headers stay
/// relative; the bandwidth is in bytes.
mod commit_flag {
    pub(super) const SHALLOW: u32 = 1;
    pub(super) const DELETE: u32 = 2;
    pub(super) const ACTIVE: u32 = 4;
    pub(super) const RELATIVE: u32 = 8;
    pub(super) const BYTES: u32 = 16;
    pub(super) const ALL: u32 = 31;
}

/// Flags of a pull under its two names.
mod pull_flag {
    pub(super) const RELATIVE: u32 = 16;
    pub(super) const BYTES: u32 = 64;
}

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming;
        DomainBlockCommit => commit,
        DomainBlockPull => async |client, call: DomainBlockPull| {
            only(call.flags, pull_flag::BYTES, "virDomainBlockPull")?;
            pulled(&client, &call.dom, &call.path, None, (call.bandwidth, call.flags)).await
        },
        DomainBlockRebase => rebase,
        DomainBlockJobSetSpeed => set_speed,
        DomainGetBlockJobInfo => info,
        DomainBlockJobAbort => abort,
        DomainBlockResize => resize,
    }
}

pub(super) fn wrong(detail: impl AsRef<str>) -> RpcError {
    RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_QEMU, detail.as_ref())
}

/// What is known and not done.
pub(super) fn lacking(detail: &str) -> RpcError {
    RpcError::new(codes::ERR_ARGUMENT_UNSUPPORTED, codes::FROM_QEMU, detail)
}

pub(super) fn failed(error: &Error) -> RpcError {
    match error.code() {
        "block.busy" => RpcError::new(codes::ERR_BLOCK_COPY_ACTIVE, codes::FROM_QEMU, error.to_string()),
        "block.job-works" => RpcError::new(
            codes::ERR_BLOCK_COPY_ACTIVE,
            codes::FROM_QEMU,
            format!("not ready for pivot yet: {error}"),
        ),
        _ => failure::of_domain(error),
    }
}

/// Most bytes a second; nothing for as fast as it goes.
pub(super) fn bandwidth(wanted: u64, bytes: bool) -> Result<Option<u64>, RpcError> {
    let wanted = if bytes { Some(wanted) } else { wanted.checked_mul(MIB) };
    // QEMU counts in signed numbers.
    let wanted = wanted
        .filter(|wanted| i64::try_from(*wanted).is_ok())
        .ok_or_else(|| RpcError::new(codes::ERR_OVERFLOW, codes::FROM_QEMU, "bandwidth is too large"))?;
    Ok((wanted > 0).then_some(wanted))
}

/// A disk of a guest that runs, with its layers from the active one down.
pub(super) struct Disk {
    pub(super) target: String,
    pub(super) layers: Vec<LayerSummary>,
}

impl Disk {
    /// By its target, or by the file that its guest writes to.
    pub(super) async fn of(client: &Client, domain: &DomainIdentity, named: &str) -> Result<Self, RpcError> {
        if domain.run_number.is_none() {
            return Err(invalid("domain is not running"));
        }
        let shown =
            client.host().show(&reference(domain)).await.map_err(|error| failure::of_domain(&error))?;
        let found = shown.disks.into_iter().find(|disk| {
            let active = disk.chain.iter().flatten().next();
            disk.target == named || active.is_some_and(|layer| layer.path.as_os_str() == named)
        });
        let disk = found.ok_or_else(|| wrong(format!("invalid path '{named}' not assigned to domain")))?;
        let layers = disk.chain.map_err(|why| {
            RpcError::new(codes::ERR_OPERATION_INVALID, codes::FROM_QEMU, format!("disk '{named}': {why}"))
        })?;
        Ok(Self { target: disk.target, layers })
    }

    /// The number of a layer that is called by its path, or as `vda[2]`.
    fn place(&self, name: &str) -> Result<usize, RpcError> {
        let number = name
            .strip_prefix(&self.target)
            .and_then(|rest| rest.strip_prefix('[')?.strip_suffix(']')?.parse().ok());
        number
            .filter(|number| *number < self.layers.len())
            .or_else(|| self.layers.iter().position(|layer| layer.path.as_os_str() == name))
            .ok_or_else(|| wrong(format!("could not find image '{name}' in chain of disk '{}'", self.target)))
    }
}

async fn commit(client: Arc<Client>, call: DomainBlockCommit) -> Result<(), RpcError> {
    use commit_flag::{ACTIVE, ALL, BYTES, DELETE, RELATIVE, SHALLOW};
    only(call.flags, ALL, "virDomainBlockCommit")?;
    let has = |flag: u32| call.flags & flag != 0;
    if has(DELETE) {
        return Err(lacking("images that a commit leaves out are kept"));
    }
    let (domain, _job) = client.change(&call.dom).await?;
    let disk = Disk::of(&client, &domain, &call.disk).await?;
    let top = call.top.as_deref().map_or(Ok(0), |name| disk.place(name))?;
    let base = call.base.as_deref().map(|name| disk.place(name)).transpose()?;
    let (top, base) = span(top, base, has(ACTIVE), has(SHALLOW))?;
    let options = CommitOptions {
        top: Some(top.to_string()),
        base: base.map(|base| base.to_string()),
        active: has(ACTIVE),
        bandwidth: bandwidth(call.bandwidth, has(BYTES))?,
        force: false,
        relative: has(RELATIVE),
    };
    let begun = client.host().block_commit(&reference(&domain), &disk.target, options).await;
    begun.map(drop).map_err(|error| failed(&error))
}

/// The layers of a commit as its flags have them.
fn span(
    top: usize,
    base: Option<usize>,
    active: bool,
    shallow: bool,
) -> Result<(usize, Option<usize>), RpcError> {
    if active != (top == 0) {
        return Err(wrong(match active {
            true => "active commit requested but the top image is not active",
            false => "commit of the active layer requires the active flag",
        }));
    }
    match base {
        Some(base) if shallow && base != top + 1 => {
            Err(wrong("the base is not immediately below the top image"))
        }
        None if shallow => Ok((top, Some(top + 1))),
        base => Ok((top, base)),
    }
}

async fn rebase(client: Arc<Client>, call: DomainBlockRebase) -> Result<(), RpcError> {
    if block_copy::is_copy(call.flags) {
        return block_copy::rebase(client, call).await;
    }
    only(call.flags, pull_flag::RELATIVE | pull_flag::BYTES, "virDomainBlockRebase")?;
    if call.flags & pull_flag::RELATIVE != 0 && call.base.is_none() {
        return Err(wrong("a backing name can only stay relative with a base"));
    }
    pulled(&client, &call.dom, &call.path, call.base.as_deref(), (call.bandwidth, call.flags)).await
}

async fn pulled(
    client: &Client,
    dom: &DomainHandle,
    path: &str,
    base: Option<&str>,
    (most, flags): (u64, u32),
) -> Result<(), RpcError> {
    let (domain, _job) = client.change(dom).await?;
    let disk = Disk::of(client, &domain, path).await?;
    let options = PullOptions {
        base: base.map(|name| Ok(disk.place(name)?.to_string())).transpose()?,
        bandwidth: bandwidth(most, flags & pull_flag::BYTES != 0)?,
        relative: flags & pull_flag::RELATIVE != 0,
    };
    let begun = client.host().block_pull(&reference(&domain), &disk.target, options).await;
    begun.map(drop).map_err(|error| failed(&error))
}

async fn info(
    client: Arc<Client>,
    call: DomainGetBlockJobInfo,
) -> Result<DomainGetBlockJobInfoAnswer, RpcError> {
    const BYTES: u32 = 1;
    only(call.flags, BYTES, "virDomainGetBlockJobInfo")?;
    let domain = client.domain(&call.dom).await?;
    let target = Disk::of(&client, &domain, &call.path).await?.target;
    let jobs = client.host().block_jobs(Some(&reference(&domain))).await;
    let jobs = jobs.map_err(|error| failure::of_domain(&error))?;
    let none = DomainGetBlockJobInfoAnswer { found: 0, r#type: 0, bandwidth: 0, cur: 0, end: 0 };
    let Some(job) = jobs.into_iter().find(|job| job.target == target) else { return Ok(none) };
    let most = job.bandwidth.unwrap_or(0);
    let (cur, end) = progress(&job);
    Ok(DomainGetBlockJobInfoAnswer {
        found: 1,
        r#type: job_type(job.kind.word(), job.active),
        bandwidth: if call.flags & BYTES == 0 { most.div_ceil(MIB) } else { most },
        cur,
        end,
    })
}

/// How far it is. Clients take two numbers that are the same to mean that it is ready, or over.
fn progress(job: &BlockJobSummary) -> (u64, u64) {
    let (done, total) = (job.done, job.total.max(1));
    match job.state {
        BlockJobState::Ready => (total, total),
        _ => (done.min(total - 1), total),
    }
}

async fn abort(client: Arc<Client>, call: DomainBlockJobAbort) -> Result<(), RpcError> {
    const ASYNC: u32 = 1;
    const PIVOT: u32 = 2;
    // Nobody who need not wait is wronged by an end that has come when the call returns.
    only(call.flags, ASYNC | PIVOT, "virDomainBlockJobAbort")?;
    let (domain, _job) = client.change(&call.dom).await?;
    let disk = Disk::of(&client, &domain, &call.path).await?;
    let wanted = reference(&domain);
    let jobs = client.host().block_jobs(Some(&wanted)).await;
    let jobs = jobs.map_err(|error| failure::of_domain(&error))?;
    let complete = |job: &BlockJobSummary| {
        let is_copy = job.kind == BlockJobKind::Copy && job.state == BlockJobState::Ready;
        job.target == disk.target && is_copy
    };
    let ended = match call.flags & PIVOT {
        // What is complete is a copy that is worth something.
        0 if jobs.iter().any(complete) => {
            client.host().block_complete(&wanted, &disk.target, Ending::Keep).await
        }
        0 => client.host().block_cancel(&wanted, &disk.target).await,
        _ => {
            if jobs.iter().any(|job| job.target == disk.target && !job.active) {
                return Err(invalid("pivot requires a copy, or a commit of the active layer"));
            }
            client.host().block_complete(&wanted, &disk.target, Ending::Pivot).await
        }
    };
    ended.map(drop).map_err(|error| failed(&error))
}

async fn set_speed(client: Arc<Client>, call: DomainBlockJobSetSpeed) -> Result<(), RpcError> {
    const BYTES: u32 = 1;
    only(call.flags, BYTES, "virDomainBlockJobSetSpeed")?;
    let most = bandwidth(call.bandwidth, call.flags & BYTES != 0)?;
    let (domain, _job) = client.change(&call.dom).await?;
    let disk = Disk::of(&client, &domain, &call.path).await?;
    let set = client.host().block_set_speed(&reference(&domain), &disk.target, most.unwrap_or(0)).await;
    set.map_err(|error| failed(&error))
}

async fn resize(client: Arc<Client>, call: DomainBlockResize) -> Result<(), RpcError> {
    const BYTES: u32 = 1;
    only(call.flags, BYTES, "virDomainBlockResize")?;
    let bytes = if call.flags & BYTES == 0 { call.size.checked_mul(1024) } else { Some(call.size) };
    let bytes =
        bytes.ok_or_else(|| RpcError::new(codes::ERR_OVERFLOW, codes::FROM_QEMU, "size is too large"))?;
    let (domain, _job) = client.change(&call.dom).await?;
    let disk = Disk::of(&client, &domain, &call.disk).await?;
    // A client has no way to say that what lies behind a smaller end may be lost.
    let options = DiskResizeOptions { size: Resize::To(bytes), shrink: false };
    let resized = client.host().block_resize(&reference(&domain), &disk.target, options).await;
    resized.map(drop).map_err(|error| failed(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bandwidth_is_in_mebibytes_unless_it_is_in_bytes() {
        assert_eq!(bandwidth(0, false).unwrap(), None);
        assert_eq!(bandwidth(3, false).unwrap(), Some(3 << 20));
        assert_eq!(bandwidth(3, true).unwrap(), Some(3));
        assert_eq!(bandwidth(u64::MAX, false).unwrap_err().code, codes::ERR_OVERFLOW);
        assert_eq!(bandwidth(u64::MAX, true).unwrap_err().code, codes::ERR_OVERFLOW);
    }

    #[test]
    fn active_layer_goes_with_its_flag_and_never_without() {
        assert_eq!(span(0, None, true, false).unwrap(), (0, None));
        assert_eq!(span(0, None, true, true).unwrap(), (0, Some(1)));
        assert_eq!(span(1, Some(2), false, true).unwrap(), (1, Some(2)));
        for refused in [span(0, None, false, false), span(1, None, true, false), span(0, Some(2), true, true)]
        {
            assert_eq!(refused.unwrap_err().code, codes::ERR_INVALID_ARG);
        }
    }
}
