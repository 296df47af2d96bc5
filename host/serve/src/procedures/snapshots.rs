//! Snapshots.

use std::sync::Arc;

use hostler_domains::{
    BlockJobState, DomainRef, Ending, Error, Kind, NewSnapshot, RevertOptions, SnapshotDeleteOptions,
    SnapshotSummary,
};
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::wire::{
    DomainHandle, DomainListAllSnapshotsAnswer, DomainRevertToSnapshot, DomainSnapshotCreateXml,
    DomainSnapshotCreateXmlAnswer, DomainSnapshotCurrent, DomainSnapshotCurrentAnswer, DomainSnapshotDelete,
    DomainSnapshotGetParent, DomainSnapshotGetParentAnswer, DomainSnapshotGetXmlDesc,
    DomainSnapshotGetXmlDescAnswer, DomainSnapshotHandle, DomainSnapshotHasMetadataAnswer,
    DomainSnapshotIsCurrentAnswer, DomainSnapshotListAllChildrenAnswer, DomainSnapshotListNamesAnswer,
    DomainSnapshotLookupByName, DomainSnapshotLookupByNameAnswer, DomainSnapshotNumAnswer,
    DomainSnapshotNumChildrenAnswer,
};
use hostler_rpc::xdr::List;

use super::{count, only};
use crate::client::{Client, handle as domain_handle, reference};
use crate::dispatch::{Incoming, Work, routes};
use crate::failure;

/// Flags of a list: only those without a parent, or, of children, all below; and filters, two of which nothing fails here.
mod filter {
    pub(super) const ROOTS: u32 = 1;
    pub(super) const DESCENDANTS: u32 = 1;
    pub(super) const METADATA: u32 = 2;
    pub(super) const LEAVES: u32 = 4;
    pub(super) const NO_LEAVES: u32 = 8;
    pub(super) const TOPOLOGICAL: u32 = 1 << 10;
    pub(super) const ALL: u32 = ROOTS | METADATA | LEAVES | NO_LEAVES | TOPOLOGICAL;
}

/// Flags of a new one. Every one is whole or not there, and checked.
mod create_flag {
    pub(super) const REDEFINE: u32 = 1;
    pub(super) const CURRENT: u32 = 2;
    pub(super) const NO_METADATA: u32 = 4;
    pub(super) const DISK_ONLY: u32 = 16;
    pub(super) const QUIESCE: u32 = 64;
    pub(super) const ATOMIC: u32 = 128;
    pub(super) const VALIDATE: u32 = 512;
    /// What goes with words alone.
    pub(super) const OF_WORDS: u32 = REDEFINE | CURRENT | DISK_ONLY | VALIDATE;
    pub(super) const ALL: u32 = NO_METADATA | DISK_ONLY | QUIESCE | ATOMIC | VALIDATE;
}

/// Flags of the way back.
mod revert_flag {
    pub(super) const RUNNING: u32 = 1;
    pub(super) const PAUSED: u32 = 2;
    pub(super) const FORCE: u32 = 4;
    pub(super) const RESET_NVRAM: u32 = 8;
    pub(super) const ALL: u32 = 15;
}

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming;
        DomainSnapshotNum => async |client, call| {
            Ok(DomainSnapshotNumAnswer { num: count(listed(&client, &call.dom, call.flags).await?.len()) })
        },
        DomainSnapshotListNames => async |client, call| {
            let room = usize::try_from(call.maxnames).unwrap_or(0);
            let found = listed(&client, &call.dom, call.flags).await?;
            let names = found.into_iter().map(|snapshot| snapshot.name).take(room).collect();
            Ok(DomainSnapshotListNamesAnswer { names: List(names) })
        },
        DomainListAllSnapshots => async |client, call| {
            let found = listed(&client, &call.dom, call.flags).await?;
            let (snapshots, ret) = handles(&call.dom, &found, call.need_results);
            Ok(DomainListAllSnapshotsAnswer { snapshots, ret })
        },
        DomainSnapshotNumChildren => async |client, call| {
            Ok(DomainSnapshotNumChildrenAnswer { num: count(children(&client, &call.snap, call.flags).await?.len()) })
        },
        DomainSnapshotListAllChildren => async |client, call| {
            let found = children(&client, &call.snapshot, call.flags).await?;
            let (snapshots, ret) = handles(&call.snapshot.dom, &found, call.need_results);
            Ok(DomainSnapshotListAllChildrenAnswer { snapshots, ret })
        },
        DomainSnapshotLookupByName => by_name,
        DomainSnapshotCurrent => current,
        DomainSnapshotGetParent => parent,
        DomainSnapshotIsCurrent => async |client, call| {
            let found = snapshot(&client, &call.snap).await?;
            Ok(DomainSnapshotIsCurrentAnswer { current: i32::from(found.current) })
        },
        DomainSnapshotHasMetadata => async |client, call| {
            snapshot(&client, &call.snap).await?;
            Ok(DomainSnapshotHasMetadataAnswer { metadata: 1 })
        },
        DomainSnapshotGetXmlDesc => document,
        DomainSnapshotCreateXml => create,
        DomainRevertToSnapshot => revert,
        DomainSnapshotDelete => delete,
    }
}

fn missing(detail: String) -> RpcError {
    RpcError::new(codes::ERR_NO_DOMAIN_SNAPSHOT, codes::FROM_QEMU, detail)
}

fn handle(dom: &DomainHandle, name: &str) -> DomainSnapshotHandle {
    DomainSnapshotHandle { name: name.to_owned(), dom: dom.clone() }
}

fn handles(
    dom: &DomainHandle,
    found: &[SnapshotSummary],
    wanted: i32,
) -> (List<DomainSnapshotHandle, 16_384>, i32) {
    let all = found.iter().map(|snapshot| handle(dom, &snapshot.name));
    (List(if wanted == 0 { Vec::new() } else { all.collect() }), count(found.len()))
}

async fn all(client: &Client, dom: &DomainHandle) -> Result<Vec<SnapshotSummary>, RpcError> {
    let domain = client.domain(dom).await?;
    client.host().snapshot_list(&reference(&domain)).await.map_err(|error| failure::of_domain(&error))
}

fn is_leaf(all: &[SnapshotSummary], name: &str) -> bool {
    all.iter().all(|other| other.parent.as_deref() != Some(name))
}

fn filtered(
    all: &[SnapshotSummary],
    flags: u32,
    fits: impl Fn(&SnapshotSummary) -> bool,
) -> Vec<SnapshotSummary> {
    let leaves = flags & (filter::LEAVES | filter::NO_LEAVES);
    let fits_leaves = |name: &str| {
        leaves == 0 || leaves & (if is_leaf(all, name) { filter::LEAVES } else { filter::NO_LEAVES }) != 0
    };
    all.iter().filter(|snapshot| fits(snapshot) && fits_leaves(&snapshot.name)).cloned().collect()
}

async fn listed(client: &Client, dom: &DomainHandle, flags: u32) -> Result<Vec<SnapshotSummary>, RpcError> {
    only(flags, filter::ALL, "virDomainListAllSnapshots")?;
    let all = all(client, dom).await?;
    Ok(filtered(&all, flags, |snapshot| flags & filter::ROOTS == 0 || snapshot.parent.is_none()))
}

async fn children(
    client: &Client,
    of: &DomainSnapshotHandle,
    flags: u32,
) -> Result<Vec<SnapshotSummary>, RpcError> {
    only(flags, filter::ALL, "virDomainSnapshotListAllChildren")?;
    let all = all(client, &of.dom).await?;
    if all.iter().all(|snapshot| snapshot.name != of.name) {
        return Err(missing(format!("no domain snapshot with matching name '{}'", of.name)));
    }
    let below = |snapshot: &SnapshotSummary| {
        let parents = std::iter::successors(snapshot.parent.as_deref(), |name| {
            all.iter().find(|other| other.name == **name)?.parent.as_deref()
        });
        let far = if flags & filter::DESCENDANTS == 0 { 1 } else { all.len() };
        parents.take(far).any(|name| name == of.name)
    };
    Ok(filtered(&all, flags, below))
}

async fn snapshot(client: &Client, wanted: &DomainSnapshotHandle) -> Result<SnapshotSummary, RpcError> {
    let found = all(client, &wanted.dom).await?.into_iter().find(|snapshot| snapshot.name == wanted.name);
    found.ok_or_else(|| missing(format!("no domain snapshot with matching name '{}'", wanted.name)))
}

async fn by_name(
    client: Arc<Client>,
    call: DomainSnapshotLookupByName,
) -> Result<DomainSnapshotLookupByNameAnswer, RpcError> {
    only(call.flags, 0, "virDomainSnapshotLookupByName")?;
    let wanted = handle(&domain_handle(&client.domain(&call.dom).await?), &call.name);
    snapshot(&client, &wanted).await?;
    Ok(DomainSnapshotLookupByNameAnswer { snap: wanted })
}

async fn current(
    client: Arc<Client>,
    call: DomainSnapshotCurrent,
) -> Result<DomainSnapshotCurrentAnswer, RpcError> {
    only(call.flags, 0, "virDomainSnapshotCurrent")?;
    let found = all(&client, &call.dom).await?.into_iter().find(|snapshot| snapshot.current);
    let found = found.ok_or_else(|| missing("the domain does not have a current snapshot".to_owned()))?;
    Ok(DomainSnapshotCurrentAnswer { snap: handle(&call.dom, &found.name) })
}

async fn parent(
    client: Arc<Client>,
    call: DomainSnapshotGetParent,
) -> Result<DomainSnapshotGetParentAnswer, RpcError> {
    only(call.flags, 0, "virDomainSnapshotGetParent")?;
    let parent = snapshot(&client, &call.snap).await?.parent;
    let parent =
        parent.ok_or_else(|| missing(format!("snapshot '{}' does not have a parent", call.snap.name)))?;
    Ok(DomainSnapshotGetParentAnswer { snap: handle(&call.snap.dom, &parent) })
}

async fn document(
    client: Arc<Client>,
    call: DomainSnapshotGetXmlDesc,
) -> Result<DomainSnapshotGetXmlDescAnswer, RpcError> {
    const SECURE: u32 = 1;
    only(call.flags, SECURE, "virDomainSnapshotGetXMLDesc")?;
    snapshot(&client, &call.snap).await?;
    let domain = reference(&client.domain(&call.snap.dom).await?);
    let xml = client.host().snapshot_xml(&domain, &call.snap.name).await;
    let xml = xml.map_err(|error| failure::of_domain(&error))?;
    Ok(DomainSnapshotGetXmlDescAnswer { xml: super::xml::without_secrets(&xml, call.flags & SECURE != 0)? })
}

async fn create(
    client: Arc<Client>,
    call: DomainSnapshotCreateXml,
) -> Result<DomainSnapshotCreateXmlAnswer, RpcError> {
    if call.flags & create_flag::REDEFINE != 0 {
        return redefine(&client, &call).await;
    }
    only(call.flags, create_flag::ALL, "virDomainSnapshotCreateXML")?;
    let (domain, _job) = client.change(&call.dom).await?;
    let new = NewSnapshot {
        xml: Some(call.xml_desc),
        disk_only: call.flags & create_flag::DISK_ONLY != 0,
        quiesce: call.flags & create_flag::QUIESCE != 0,
        ..NewSnapshot::default()
    };
    let taken = client.host().snapshot_create(&reference(&domain), &new).await;
    let taken = taken.map_err(|error| failure::of_domain(&error))?;
    if call.flags & create_flag::NO_METADATA != 0 {
        // Such a client keeps what it has made in its own books. Only between the two is it in ours.
        let name = &taken.details.summary.name;
        let forgotten = client.host().snapshot_forget(&reference(&domain), name);
        forgotten.map_err(|error| failure::of_domain(&error))?;
    }
    Ok(DomainSnapshotCreateXmlAnswer { snap: handle(&domain_handle(&domain), &taken.details.summary.name) })
}

/// What is known of a snapshot, as words say.
async fn redefine(
    client: &Client,
    call: &DomainSnapshotCreateXml,
) -> Result<DomainSnapshotCreateXmlAnswer, RpcError> {
    only(call.flags, create_flag::OF_WORDS, "virDomainSnapshotCreateXML")?;
    let (domain, _job) = client.change(&call.dom).await?;
    let current = call.flags & create_flag::CURRENT != 0;
    let redefined = client.host().snapshot_redefine(&reference(&domain), &call.xml_desc, current).await;
    let name = redefined.map_err(|error| failure::of_domain(&error))?.summary.name;
    Ok(DomainSnapshotCreateXmlAnswer { snap: handle(&domain_handle(&domain), &name) })
}

async fn revert(client: Arc<Client>, call: DomainRevertToSnapshot) -> Result<(), RpcError> {
    only(call.flags, revert_flag::ALL, "virDomainRevertToSnapshot")?;
    let has = |flag: u32| call.flags & flag != 0;
    let options = RevertOptions {
        reset_nvram: has(revert_flag::RESET_NVRAM),
        running: has(revert_flag::RUNNING),
        paused: has(revert_flag::PAUSED),
        force: has(revert_flag::FORCE),
    };
    let (domain, _job) = client.change(&call.snap.dom).await?;
    snapshot(&client, &call.snap).await?;
    let domain = reference(&domain);
    let reverted = Box::pin(client.host().snapshot_revert(&domain, &call.snap.name, options)).await;
    reverted.map(drop).map_err(|error| match error.code() {
        // Clients offer to force it then.
        "snapshot.definition-changed" => {
            RpcError::new(codes::ERR_SNAPSHOT_REVERT_RISKY, codes::FROM_QEMU, error.to_string())
        }
        _ => failure::of_domain(&error),
    })
}

async fn delete(client: Arc<Client>, call: DomainSnapshotDelete) -> Result<(), RpcError> {
    const CHILDREN: u32 = 1;
    const METADATA_ONLY: u32 = 2;
    only(call.flags, CHILDREN | METADATA_ONLY, "virDomainSnapshotDelete")?;
    let options = SnapshotDeleteOptions { plan: false, children: call.flags & CHILDREN != 0 };
    let (domain, _job) = client.change(&call.snap.dom).await?;
    snapshot(&client, &call.snap).await?;
    if call.flags & METADATA_ONLY != 0 {
        if call.flags & CHILDREN != 0 {
            let detail = "snapshots are forgotten one by one";
            return Err(RpcError::new(codes::ERR_ARGUMENT_UNSUPPORTED, codes::FROM_QEMU, detail));
        }
        let forgotten = client.host().snapshot_forget(&reference(&domain), &call.snap.name);
        return forgotten.map_err(|error| failure::of_domain(&error));
    }
    deleted(&client, &reference(&domain), &call.snap.name, options)
        .await
        .map_err(|error| failure::of_domain(&error))
}

/// Deletes, and sees the hypervisor's merges through.
async fn deleted(
    client: &Client,
    domain: &DomainRef,
    name: &str,
    options: SnapshotDeleteOptions,
) -> Result<(), Error> {
    let mut merged = false;
    loop {
        let deleted = match client.host().snapshot_delete(domain, name, options).await {
            // What was merged is settled as soon as that is over, and the snapshot with it.
            Err(error) if merged && error.kind == Kind::NotFound => return Ok(()),
            deleted => deleted?,
        };
        let Some(mut news) = deleted.works else { return Ok(()) };
        while news.state == BlockJobState::Running {
            news = client.host().block_job_news(&news).await?;
        }
        client.host().block_finish(&news, Ending::Pivot).await?;
        merged = true;
    }
}
