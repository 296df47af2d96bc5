//! Pools.

use std::sync::Arc;

use hostler_domain::{Document, Fragment};
use hostler_domains::{Error, Kind, PoolRef, PoolSpace, PoolSummary};
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::wire::{
    ConnectListAllStoragePoolsAnswer, ConnectListDefinedStoragePoolsAnswer, ConnectListStoragePoolsAnswer,
    ConnectNumOfDefinedStoragePoolsAnswer, ConnectNumOfStoragePoolsAnswer, StoragePoolBuild,
    StoragePoolCreate, StoragePoolCreateXml, StoragePoolCreateXmlAnswer, StoragePoolDefineXml,
    StoragePoolDefineXmlAnswer, StoragePoolDelete, StoragePoolDestroy, StoragePoolGetAutostartAnswer,
    StoragePoolGetInfo, StoragePoolGetInfoAnswer, StoragePoolGetXmlDesc, StoragePoolGetXmlDescAnswer,
    StoragePoolHandle, StoragePoolIsActiveAnswer, StoragePoolIsPersistentAnswer, StoragePoolLookupByName,
    StoragePoolLookupByNameAnswer, StoragePoolLookupByTargetPath, StoragePoolLookupByTargetPathAnswer,
    StoragePoolLookupByUuid, StoragePoolLookupByUuidAnswer, StoragePoolRefresh, StoragePoolSetAutostart,
    StoragePoolUndefine,
};
use hostler_rpc::xdr::List;
use uuid::Uuid;

use super::{count, meets, only, unsupported};
use crate::access::object::Object;
use crate::client::Client;
use crate::dispatch::{Incoming, Work, routes};
use crate::events::objects::Step;
use crate::failure;
use crate::jobs::Job;

/// States of a pool.
const INACTIVE: u8 = 0;
const RUNNING: u8 = 2;
/// Flags that make the place of a pool before it is started; the last two say what becomes of what is there.
const WITH_BUILD: u32 = 7;
const OVERWRITE_AT_START: u32 = 2;
const KEEP_AT_START: u32 = 4;
/// Under what changes of pools take turns.
const POOLS: Uuid = Uuid::from_u128(2);

/// Pairs of flags by which pools are listed; above them is one for each type of pool.
mod filter {
    pub(super) const INACTIVE: u32 = 1;
    pub(super) const ACTIVE: u32 = 2;
    pub(super) const PERSISTENT: u32 = 4;
    pub(super) const TRANSIENT: u32 = 8;
    pub(super) const AUTOSTART: u32 = 16;
    pub(super) const NO_AUTOSTART: u32 = 32;
    /// Types in the order of their flags.
    pub(super) const FIRST_TYPE: u32 = 6;
    pub(super) const TYPES: [&str; 14] = [
        "dir",
        "fs",
        "netfs",
        "logical",
        "disk",
        "iscsi",
        "scsi",
        "mpath",
        "rbd",
        "sheepdog",
        "gluster",
        "zfs",
        "vstorage",
        "iscsi-direct",
    ];
    /// The pairs, and all types.
    pub(super) const ALL: u32 = (1 << (FIRST_TYPE + 14)) - 1;
}

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming;
        ConnectListAllStoragePools => async |client, call| {
            let pools = filtered(&client, call.flags).await?;
            let ret = count(pools.len());
            let pools = if call.need_results == 0 { Vec::new() } else { pools.iter().map(handle).collect() };
            Ok(ConnectListAllStoragePoolsAnswer { pools: List(pools), ret })
        },
        ConnectNumOfStoragePools => async |client, _| {
            Ok(ConnectNumOfStoragePoolsAnswer { num: count(filtered(&client, filter::ACTIVE).await?.len()) })
        },
        ConnectListStoragePools => async |client, call| {
            Ok(ConnectListStoragePoolsAnswer { names: names(&client, filter::ACTIVE, call.maxnames).await? })
        },
        ConnectNumOfDefinedStoragePools => async |client, _| {
            Ok(ConnectNumOfDefinedStoragePoolsAnswer { num: count(filtered(&client, filter::INACTIVE).await?.len()) })
        },
        ConnectListDefinedStoragePools => async |client, call| {
            Ok(ConnectListDefinedStoragePoolsAnswer { names: names(&client, filter::INACTIVE, call.maxnames).await? })
        },
        StoragePoolLookupByName => by_name,
        StoragePoolLookupByUuid => by_uuid,
        StoragePoolLookupByTargetPath => by_target,
        StoragePoolGetInfo => info,
        StoragePoolGetXmlDesc => document,
        StoragePoolIsActive => async |client, call| {
            Ok(StoragePoolIsActiveAnswer { active: i32::from(pool(&client, &call.pool).await?.active) })
        },
        StoragePoolIsPersistent => async |client, call| {
            Ok(StoragePoolIsPersistentAnswer { persistent: i32::from(pool(&client, &call.pool).await?.persistent) })
        },
        StoragePoolGetAutostart => async |client, call| {
            Ok(StoragePoolGetAutostartAnswer { autostart: i32::from(pool(&client, &call.pool).await?.autostart) })
        },
        StoragePoolSetAutostart => set_autostart,
        StoragePoolDefineXml => define,
        StoragePoolCreateXml => create_from_document,
        StoragePoolCreate => create,
        StoragePoolBuild => build,
        StoragePoolDestroy => stop,
        StoragePoolUndefine => undefine,
        StoragePoolDelete => delete,
        StoragePoolRefresh => refresh,
    }
}

/// How the library is asked for a pool. Only its identifier is believed.
pub(super) fn reference(pool: &StoragePoolHandle) -> PoolRef {
    PoolRef::new(Uuid::from_bytes(pool.uuid).to_string())
}

/// How a client is told of a pool.
pub(super) fn handle(pool: &PoolSummary) -> StoragePoolHandle {
    StoragePoolHandle { name: pool.name.clone(), uuid: *pool.uuid.as_bytes() }
}

/// Every pool.
pub(super) async fn all(client: &Client) -> Result<Vec<PoolSummary>, RpcError> {
    client.host().pool_list().await.map_err(|error| failure::of_storage(&error))
}

pub(super) async fn pool(client: &Client, wanted: &StoragePoolHandle) -> Result<PoolSummary, RpcError> {
    let found = all(client).await?.into_iter().find(|pool| *pool.uuid.as_bytes() == wanted.uuid);
    found.ok_or_else(|| {
        let uuid = Uuid::from_bytes(wanted.uuid);
        missing(format!("no storage pool with matching uuid '{uuid}' ({})", wanted.name))
    })
}

pub(super) fn missing(detail: String) -> RpcError {
    RpcError::new(codes::ERR_NO_STORAGE_POOL, codes::FROM_STORAGE, detail)
}

/// Refuses what needs the pool to be started.
pub(super) fn require_active(pool: &PoolSummary) -> Result<(), RpcError> {
    if pool.active {
        return Ok(());
    }
    let detail = format!("storage pool '{}' is not active", pool.name);
    Err(RpcError::new(codes::ERR_OPERATION_INVALID, codes::FROM_STORAGE, detail))
}

async fn filtered(client: &Client, flags: u32) -> Result<Vec<PoolSummary>, RpcError> {
    only(flags, filter::ALL, "virConnectListAllStoragePools")?;
    let mut pools = all(client).await?;
    let pair = |yes, no, is| meets(flags, (yes, no), is);
    let types = flags >> filter::FIRST_TYPE;
    pools.retain(|pool| {
        let place = filter::TYPES.iter().position(|kind| *kind == pool.kind);
        client.sees("storage_pool.getattr", &Object::named(&pool.name, Some(pool.uuid)))
            && pair(filter::ACTIVE, filter::INACTIVE, pool.active)
            && pair(filter::PERSISTENT, filter::TRANSIENT, pool.persistent)
            && pair(filter::AUTOSTART, filter::NO_AUTOSTART, pool.autostart)
            && (types == 0 || place.is_some_and(|place| types >> place & 1 != 0))
    });
    Ok(pools)
}

async fn names(client: &Client, flags: u32, room: i32) -> Result<List<String, 16_384>, RpcError> {
    let room = usize::try_from(room).unwrap_or(0);
    Ok(List(filtered(client, flags).await?.into_iter().map(|pool| pool.name).take(room).collect()))
}

async fn by_name(
    client: Arc<Client>,
    call: StoragePoolLookupByName,
) -> Result<StoragePoolLookupByNameAnswer, RpcError> {
    let found = all(&client).await?.into_iter().find(|pool| pool.name == call.name);
    let found =
        found.ok_or_else(|| missing(format!("no storage pool with matching name '{}'", call.name)))?;
    Ok(StoragePoolLookupByNameAnswer { pool: handle(&found) })
}

async fn by_uuid(
    client: Arc<Client>,
    call: StoragePoolLookupByUuid,
) -> Result<StoragePoolLookupByUuidAnswer, RpcError> {
    let wanted = StoragePoolHandle { name: String::new(), uuid: call.uuid };
    Ok(StoragePoolLookupByUuidAnswer { pool: handle(&pool(&client, &wanted).await?) })
}

async fn by_target(
    client: Arc<Client>,
    call: StoragePoolLookupByTargetPath,
) -> Result<StoragePoolLookupByTargetPathAnswer, RpcError> {
    let wanted = std::path::Path::new(&call.path);
    let found =
        all(&client).await?.into_iter().find(|pool| pool.active && pool.target.as_deref() == Some(wanted));
    let found =
        found.ok_or_else(|| missing(format!("no storage pool with matching target path '{}'", call.path)))?;
    Ok(StoragePoolLookupByTargetPathAnswer { pool: handle(&found) })
}

async fn space(client: &Client, pool: &PoolSummary) -> Result<PoolSpace, RpcError> {
    let shown = client.host().pool_show(&PoolRef::new(pool.uuid.to_string())).await;
    let space = shown.map_err(|error| failure::of_storage(&error))?.space;
    Ok(space.unwrap_or(PoolSpace { capacity: 0, allocation: 0, available: 0 }))
}

async fn info(client: Arc<Client>, call: StoragePoolGetInfo) -> Result<StoragePoolGetInfoAnswer, RpcError> {
    let pool = pool(&client, &call.pool).await?;
    let PoolSpace { capacity, allocation, available } = space(&client, &pool).await?;
    let state = if pool.active { RUNNING } else { INACTIVE };
    Ok(StoragePoolGetInfoAnswer { state, capacity, allocation, available })
}

async fn document(
    client: Arc<Client>,
    call: StoragePoolGetXmlDesc,
) -> Result<StoragePoolGetXmlDescAnswer, RpcError> {
    const INACTIVE_XML: u32 = 1;
    only(call.flags, INACTIVE_XML, "virStoragePoolGetXMLDesc")?;
    let pool = pool(&client, &call.pool).await?;
    let xml = client.host().pool_xml(&reference(&call.pool)).await;
    let xml = xml.map_err(|error| failure::of_storage(&error))?;
    let space = space(&client, &pool).await?;
    let measured = with_space(&xml, &space);
    measured
        .map(|xml| StoragePoolGetXmlDescAnswer { xml })
        .map_err(|error| failure::of_storage(&Error::from(error)))
}

/// The document with what is measured, as clients are used to it.
fn with_space(xml: &str, space: &PoolSpace) -> Result<String, hostler_domain::XmlError> {
    let mut document = Document::parse(xml)?;
    let root = document.root();
    for (name, bytes) in
        [("capacity", space.capacity), ("allocation", space.allocation), ("available", space.available)]
    {
        match document.child(root, name) {
            Some(node) => document.set_text(node, &bytes.to_string())?,
            None => {
                let element = Fragment::new(name).attribute("unit", "bytes").text(bytes);
                document.append_child(root, &element.to_xml())?;
            }
        }
    }
    Ok(document.to_xml())
}

async fn set_autostart(client: Arc<Client>, call: StoragePoolSetAutostart) -> Result<(), RpcError> {
    let _turn = turn(&client).await?;
    if !pool(&client, &call.pool).await?.persistent {
        let detail = "pool has no config file";
        return Err(RpcError::new(codes::ERR_INTERNAL_ERROR, codes::FROM_STORAGE, detail));
    }
    let set = client.host().pool_autostart(&reference(&call.pool), call.autostart != 0).await;
    done(set)
}

/// Changes of pools take turns: names and places of one are compared with those of all others.
async fn turn(client: &Client) -> Result<Job, RpcError> {
    client.server.jobs.begin(POOLS).await
}

fn done<T>(result: Result<T, Error>) -> Result<(), RpcError> {
    result.map(drop).map_err(|error| failure::of_storage(&error))
}

fn invalid(detail: &str) -> RpcError {
    RpcError::new(codes::ERR_OPERATION_INVALID, codes::FROM_STORAGE, detail)
}

/// A file system that something would be written over with is not made.
fn refuse_overwriting(pool: &PoolSummary, overwrites: bool) -> Result<(), RpcError> {
    if !overwrites || pool.kind == "dir" {
        return Ok(());
    }
    let detail = format!("a pool of type '{}' is made from a device by the tools of the system", pool.kind);
    Err(unsupported(codes::FROM_STORAGE, &detail))
}

/// Refuses flags that say opposite things.
fn not_both(flags: u32, overwrite: u32, keep: u32) -> Result<(), RpcError> {
    if flags & overwrite == 0 || flags & keep == 0 {
        return Ok(());
    }
    let detail = "Flags 'overwrite' and 'no overwrite' are mutually exclusive";
    Err(RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_STORAGE, detail))
}

async fn define(
    client: Arc<Client>,
    call: StoragePoolDefineXml,
) -> Result<StoragePoolDefineXmlAnswer, RpcError> {
    const VALIDATE: u32 = 1;
    only(call.flags, VALIDATE, "virStoragePoolDefineXML")?;
    let _turn = turn(&client).await?;
    let defined = client.host().pool_define(&call.xml).await.map_err(|error| failure::of_storage(&error))?;
    let pool = handle(&defined.summary);
    client.server.hub.pool(&pool, Step::Defined);
    Ok(StoragePoolDefineXmlAnswer { pool })
}

async fn create_from_document(
    client: Arc<Client>,
    call: StoragePoolCreateXml,
) -> Result<StoragePoolCreateXmlAnswer, RpcError> {
    only(call.flags, WITH_BUILD, "virStoragePoolCreateXML")?;
    not_both(call.flags, OVERWRITE_AT_START, KEEP_AT_START)?;
    let _turn = turn(&client).await?;
    let made = client.host().pool_create(&call.xml, call.flags & WITH_BUILD != 0).await;
    let pool = handle(&made.map_err(|error| failure::of_storage(&error))?.summary);
    client.server.hub.pool(&pool, Step::Started);
    Ok(StoragePoolCreateXmlAnswer { pool })
}

async fn create(client: Arc<Client>, call: StoragePoolCreate) -> Result<(), RpcError> {
    only(call.flags, WITH_BUILD, "virStoragePoolCreate")?;
    not_both(call.flags, OVERWRITE_AT_START, KEEP_AT_START)?;
    let _turn = turn(&client).await?;
    let pool = pool(&client, &call.pool).await?;
    if pool.active {
        return Err(invalid(&format!("storage pool '{}' is already active", pool.name)));
    }
    refuse_overwriting(&pool, call.flags & OVERWRITE_AT_START != 0)?;
    done(client.host().pool_start(&reference(&call.pool), call.flags & WITH_BUILD != 0).await)?;
    client.server.hub.pool(&handle(&pool), Step::Started);
    Ok(())
}

/// The place is made, and nothing started. A directory has nothing that could be written over or kept; where there would be, in
/// a device, nothing is made at all.
async fn build(client: Arc<Client>, call: StoragePoolBuild) -> Result<(), RpcError> {
    const KEEP: u32 = 4;
    const OVERWRITE: u32 = 8;
    only(call.flags, KEEP | OVERWRITE, "virStoragePoolBuild")?;
    not_both(call.flags, OVERWRITE, KEEP)?;
    let _turn = turn(&client).await?;
    let pool = pool(&client, &call.pool).await?;
    if pool.active {
        return Err(invalid(&format!("storage pool '{}' is already active", pool.name)));
    }
    refuse_overwriting(&pool, call.flags & OVERWRITE != 0)?;
    done(client.host().pool_build(&reference(&call.pool)).await)?;
    client.server.hub.pool(&handle(&pool), Step::Created);
    Ok(())
}

async fn stop(client: Arc<Client>, call: StoragePoolDestroy) -> Result<(), RpcError> {
    let _turn = turn(&client).await?;
    let pool = pool(&client, &call.pool).await?;
    require_active(&pool)?;
    done(client.host().pool_stop(&reference(&call.pool)).await)?;
    client.server.hub.pool(&handle(&pool), Step::Stopped);
    Ok(())
}

async fn undefine(client: Arc<Client>, call: StoragePoolUndefine) -> Result<(), RpcError> {
    let _turn = turn(&client).await?;
    let pool = pool(&client, &call.pool).await?;
    if pool.active {
        return Err(invalid(&format!("storage pool '{}' is still active", pool.name)));
    }
    done(client.host().pool_undefine(&reference(&call.pool)).await)?;
    client.server.hub.pool(&handle(&pool), Step::Undefined);
    Ok(())
}

async fn delete(client: Arc<Client>, call: StoragePoolDelete) -> Result<(), RpcError> {
    only(call.flags, 0, "virStoragePoolDelete")?;
    let _turn = turn(&client).await?;
    let pool = pool(&client, &call.pool).await?;
    if pool.active {
        return Err(invalid(&format!("storage pool '{}' is still active", pool.name)));
    }
    match client.host().pool_delete(&reference(&call.pool)).await {
        // What the system says, as clients know it.
        Err(error) if error.code() == "pool.not-empty" => {
            let target = pool.target.as_deref().unwrap_or_else(|| std::path::Path::new(""));
            let detail = format!("failed to remove pool '{}': Directory not empty", target.display());
            return Err(RpcError::new(codes::ERR_SYSTEM_ERROR, codes::FROM_STORAGE, detail));
        }
        deleted => done(deleted)?,
    }
    client.server.hub.pool(&handle(&pool), Step::Deleted);
    Ok(())
}

async fn refresh(client: Arc<Client>, call: StoragePoolRefresh) -> Result<(), RpcError> {
    only(call.flags, 0, "virStoragePoolRefresh")?;
    let pool = pool(&client, &call.pool).await?;
    require_active(&pool)?;
    match client.host().pool_refresh(&reference(&call.pool)).await {
        // A pool that somebody changes is looked at again by whoever needs it.
        Err(error) if error.kind == Kind::Busy => {}
        refreshed => done(refreshed)?,
    }
    client.server.hub.pool_refreshed(&handle(&pool));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_is_in_the_document_once() {
        let space = PoolSpace { capacity: 7, allocation: 2, available: 5 };
        let xml = "<pool type='dir'>\n  <name>a</name>\n  <capacity>1</capacity>\n</pool>\n";
        let shown = with_space(xml, &space).unwrap();
        assert!(shown.contains("<capacity>7</capacity>") && shown.contains(">5</available>"), "{shown}");
        assert_eq!(with_space(&shown, &space).unwrap(), shown);
    }
}
