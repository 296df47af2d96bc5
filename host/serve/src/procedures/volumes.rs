//! Volumes.

use std::path::Path;
use std::sync::Arc;

use hostler_domain::volume::StorageVolume;
use hostler_domains::{
    CloneOptions, Kind, NewVolume, PoolRef, PoolSummary, Preallocation, Resize, ResizeOptions, VolumeSummary,
};
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::wire::{
    StoragePoolHandle, StoragePoolListAllVolumes, StoragePoolListAllVolumesAnswer, StoragePoolListVolumes,
    StoragePoolListVolumesAnswer, StoragePoolLookupByVolume, StoragePoolLookupByVolumeAnswer,
    StoragePoolNumOfVolumes, StoragePoolNumOfVolumesAnswer, StorageVolCreateXml, StorageVolCreateXmlAnswer,
    StorageVolCreateXmlFrom, StorageVolCreateXmlFromAnswer, StorageVolDelete, StorageVolGetInfo,
    StorageVolGetInfoAnswer, StorageVolGetInfoFlags, StorageVolGetInfoFlagsAnswer, StorageVolGetPath,
    StorageVolGetPathAnswer, StorageVolGetXmlDesc, StorageVolGetXmlDescAnswer, StorageVolHandle,
    StorageVolLookupByKey, StorageVolLookupByKeyAnswer, StorageVolLookupByName, StorageVolLookupByNameAnswer,
    StorageVolLookupByPath, StorageVolLookupByPathAnswer, StorageVolResize,
};
use hostler_rpc::xdr::List;

use super::storage::{self, require_active};
use super::{count, only};
use crate::access::object::Object;
use crate::client::Client;
use crate::dispatch::{Incoming, Work, routes};
use crate::failure;

/// The flag that sets the tables of an image aside at once.
const PREALLOC_METADATA: u32 = 1;
/// Flags of a change of size.
mod resize_flag {
    pub(super) const ALLOCATE: u32 = 1;
    pub(super) const DELTA: u32 = 2;
    pub(super) const SHRINK: u32 = 4;
    pub(super) const ALL: u32 = 7;
}
/// The flag of a size on the disk in place of the one that was set aside.
const PHYSICAL: u32 = 1;

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming;
        StoragePoolListAllVolumes => list_all,
        StoragePoolNumOfVolumes => num_of,
        StoragePoolListVolumes => list,
        StoragePoolLookupByVolume => pool_of,
        StorageVolLookupByName => by_name,
        StorageVolLookupByKey => by_key,
        StorageVolLookupByPath => by_path,
        StorageVolGetInfo => info,
        StorageVolGetInfoFlags => info_with_flags,
        StorageVolGetXmlDesc => document,
        StorageVolGetPath => path,
        StorageVolCreateXml => create,
        StorageVolCreateXmlFrom => create_from,
        StorageVolDelete => delete,
        StorageVolResize => resize,
    }
}

fn handle(volume: &VolumeSummary) -> StorageVolHandle {
    let key = volume.path.to_string_lossy().into_owned();
    StorageVolHandle { pool: volume.pool.clone(), name: volume.name.clone(), key }
}

fn missing(detail: String) -> RpcError {
    RpcError::new(codes::ERR_NO_STORAGE_VOL, codes::FROM_STORAGE, detail)
}

async fn volumes(client: &Client, pool: &StoragePoolHandle) -> Result<Vec<VolumeSummary>, RpcError> {
    let pool = storage::pool(client, pool).await?;
    require_active(&pool)?;
    let found = client.host().vol_list(&PoolRef::new(pool.uuid.to_string())).await;
    let mut found = found.map_err(|error| failure::of_storage(&error))?;
    found.retain(|volume| client.sees("storage_vol.getattr", &Object::volume(&volume.name, &volume.pool)));
    Ok(found)
}

/// The pool that a handle names, and the volume in it.
pub(super) async fn volume(
    client: &Client,
    wanted: &StorageVolHandle,
) -> Result<(PoolRef, VolumeSummary), RpcError> {
    let pool = storage::all(client).await?.into_iter().find(|pool| pool.name == wanted.pool);
    let pool = pool
        .ok_or_else(|| storage::missing(format!("no storage pool with matching name '{}'", wanted.pool)))?;
    require_active(&pool)?;
    let reference = PoolRef::new(pool.uuid.to_string());
    match client.host().vol_show(&reference, &wanted.name).await {
        Ok(details) => Ok((reference, details.summary)),
        Err(error) if error.kind == Kind::NotFound => {
            Err(missing(format!("no storage vol with matching name '{}'", wanted.name)))
        }
        Err(error) => Err(failure::of_storage(&error)),
    }
}

/// The volume at a path, in any pool that is started.
async fn at(client: &Client, path: &str) -> Result<Option<(PoolSummary, VolumeSummary)>, RpcError> {
    let path = Path::new(path);
    for pool in storage::all(client).await?.into_iter().filter(|pool| pool.active) {
        // Where a pool does not lie, it has no volumes.
        if !pool.target.as_deref().is_some_and(|target| path.starts_with(target)) {
            continue;
        }
        let found = client.host().vol_list(&PoolRef::new(pool.uuid.to_string())).await;
        let found = found.map_err(|error| failure::of_storage(&error))?;
        if let Some(volume) = found.into_iter().find(|volume| volume.path == path) {
            return Ok(Some((pool, volume)));
        }
    }
    Ok(None)
}

async fn list_all(
    client: Arc<Client>,
    call: StoragePoolListAllVolumes,
) -> Result<StoragePoolListAllVolumesAnswer, RpcError> {
    only(call.flags, 0, "virStoragePoolListAllVolumes")?;
    let found = volumes(&client, &call.pool).await?;
    let vols = if call.need_results == 0 { Vec::new() } else { found.iter().map(handle).collect() };
    Ok(StoragePoolListAllVolumesAnswer { vols: List(vols), ret: count(found.len()) })
}

async fn num_of(
    client: Arc<Client>,
    call: StoragePoolNumOfVolumes,
) -> Result<StoragePoolNumOfVolumesAnswer, RpcError> {
    Ok(StoragePoolNumOfVolumesAnswer { num: count(volumes(&client, &call.pool).await?.len()) })
}

async fn list(
    client: Arc<Client>,
    call: StoragePoolListVolumes,
) -> Result<StoragePoolListVolumesAnswer, RpcError> {
    let room = usize::try_from(call.maxnames).unwrap_or(0);
    let names = volumes(&client, &call.pool).await?.into_iter().map(|volume| volume.name).take(room);
    Ok(StoragePoolListVolumesAnswer { names: List(names.collect()) })
}

async fn pool_of(
    client: Arc<Client>,
    call: StoragePoolLookupByVolume,
) -> Result<StoragePoolLookupByVolumeAnswer, RpcError> {
    let found = storage::all(&client).await?.into_iter().find(|pool| pool.name == call.vol.pool);
    let found = found
        .ok_or_else(|| storage::missing(format!("no storage pool with matching name '{}'", call.vol.pool)))?;
    Ok(StoragePoolLookupByVolumeAnswer { pool: storage::handle(&found) })
}

async fn by_name(
    client: Arc<Client>,
    call: StorageVolLookupByName,
) -> Result<StorageVolLookupByNameAnswer, RpcError> {
    let pool = storage::pool(&client, &call.pool).await?;
    let wanted = StorageVolHandle { pool: pool.name, name: call.name, key: String::new() };
    Ok(StorageVolLookupByNameAnswer { vol: handle(&volume(&client, &wanted).await?.1) })
}

async fn by_key(
    client: Arc<Client>,
    call: StorageVolLookupByKey,
) -> Result<StorageVolLookupByKeyAnswer, RpcError> {
    let found = at(&client, &call.key).await?;
    let (_, found) =
        found.ok_or_else(|| missing(format!("no storage vol with matching key {}", call.key)))?;
    Ok(StorageVolLookupByKeyAnswer { vol: handle(&found) })
}

async fn by_path(
    client: Arc<Client>,
    call: StorageVolLookupByPath,
) -> Result<StorageVolLookupByPathAnswer, RpcError> {
    let found = at(&client, &call.path).await?;
    let (_, found) =
        found.ok_or_else(|| missing(format!("no storage vol with matching path '{}'", call.path)))?;
    Ok(StorageVolLookupByPathAnswer { vol: handle(&found) })
}

/// What a volume is, by number.
fn kind_of(volume: &VolumeSummary) -> u8 {
    const KINDS: [&str; 6] = ["file", "block", "dir", "network", "netdir", "ploop"];
    let found = KINDS.iter().position(|kind| *kind == volume.kind);
    found.and_then(|at| u8::try_from(at).ok()).unwrap_or(0)
}

async fn info(client: Arc<Client>, call: StorageVolGetInfo) -> Result<StorageVolGetInfoAnswer, RpcError> {
    let (_, found) = volume(&client, &call.vol).await?;
    Ok(StorageVolGetInfoAnswer {
        r#type: kind_of(&found),
        capacity: found.capacity,
        allocation: found.allocation,
    })
}

async fn info_with_flags(
    client: Arc<Client>,
    call: StorageVolGetInfoFlags,
) -> Result<StorageVolGetInfoFlagsAnswer, RpcError> {
    only(call.flags, PHYSICAL, "virStorageVolGetInfoFlags")?;
    let (_, found) = volume(&client, &call.vol).await?;
    let allocation = if call.flags & PHYSICAL == 0 { found.allocation } else { found.physical };
    Ok(StorageVolGetInfoFlagsAnswer { r#type: kind_of(&found), capacity: found.capacity, allocation })
}

async fn document(
    client: Arc<Client>,
    call: StorageVolGetXmlDesc,
) -> Result<StorageVolGetXmlDescAnswer, RpcError> {
    only(call.flags, 0, "virStorageVolGetXMLDesc")?;
    let (pool, found) = volume(&client, &call.vol).await?;
    let xml = client.host().vol_xml(&pool, &found.name).await;
    Ok(StorageVolGetXmlDescAnswer { xml: xml.map_err(|error| failure::of_storage(&error))? })
}

async fn path(client: Arc<Client>, call: StorageVolGetPath) -> Result<StorageVolGetPathAnswer, RpcError> {
    let (_, found) = volume(&client, &call.vol).await?;
    Ok(StorageVolGetPathAnswer { name: found.path.to_string_lossy().into_owned() })
}

async fn create(
    client: Arc<Client>,
    call: StorageVolCreateXml,
) -> Result<StorageVolCreateXmlAnswer, RpcError> {
    only(call.flags, PREALLOC_METADATA, "virStorageVolCreateXML")?;
    let pool = storage::pool(&client, &call.pool).await?;
    require_active(&pool)?;
    let preallocation = match call.flags & PREALLOC_METADATA {
        0 => Preallocation::Off,
        _ => Preallocation::Metadata,
    };
    let new = NewVolume::Document { xml: call.xml, preallocation };
    let made = client.host().vol_create(&PoolRef::new(pool.uuid.to_string()), &new, Box::new(|_| {})).await;
    Ok(StorageVolCreateXmlAnswer { vol: handle(&made.map_err(|error| failure::of_storage(&error))?) })
}

async fn create_from(
    client: Arc<Client>,
    call: StorageVolCreateXmlFrom,
) -> Result<StorageVolCreateXmlFromAnswer, RpcError> {
    only(call.flags, 0, "virStorageVolCreateXMLFrom")?;
    let pool = storage::pool(&client, &call.pool).await?;
    let (_, source) = volume(&client, &call.clonevol).await?;
    if source.pool != pool.name {
        let detail =
            format!("a volume is copied within its pool, and '{}' is in '{}'", source.name, source.pool);
        return Err(RpcError::new(codes::ERR_OPERATION_UNSUPPORTED, codes::FROM_STORAGE, detail));
    }
    let asked = StorageVolume::parse(&call.xml)
        .map_err(|error| RpcError::new(codes::ERR_XML_ERROR, codes::FROM_STORAGE, error.to_string()))?;
    if asked.target.encryption.is_some() {
        let detail = format!("copies are not encrypted, and '{}' is to be", asked.name);
        return Err(RpcError::new(codes::ERR_OPERATION_UNSUPPORTED, codes::FROM_STORAGE, detail));
    }
    let options = CloneOptions { format: asked.target.format.clone(), source_format: None };
    let reference = PoolRef::new(pool.uuid.to_string());
    let names = (source.name.as_str(), asked.name.as_str());
    let made = client.host().vol_clone(&reference, names, &options, Box::new(|_| {})).await;
    let mut made = made.map_err(|error| match error.kind {
        // Another number than for a new volume, and clients know both.
        Kind::Exists => {
            let detail = format!("storage volume name '{}' already in use.", asked.name);
            RpcError::new(codes::ERR_INTERNAL_ERROR, codes::FROM_STORAGE, detail)
        }
        _ => failure::of_storage(&error),
    })?;
    if asked.capacity.0 > made.capacity {
        let larger = ResizeOptions {
            size: Resize::To(asked.capacity.0),
            shrink: false,
            allocate: false,
            format: None,
        };
        let resized = client.host().vol_resize(&reference, asked.name.as_str(), &larger).await;
        made = resized.map_err(|error| failure::of_storage(&error))?.summary;
    }
    Ok(StorageVolCreateXmlFromAnswer { vol: handle(&made) })
}

async fn delete(client: Arc<Client>, call: StorageVolDelete) -> Result<(), RpcError> {
    only(call.flags, 0, "virStorageVolDelete")?;
    let (pool, found) = volume(&client, &call.vol).await?;
    let deleted = client.host().vol_delete(&pool, &found.name).await;
    deleted.map(drop).map_err(|error| failure::of_storage(&error))
}

async fn resize(client: Arc<Client>, call: StorageVolResize) -> Result<(), RpcError> {
    only(call.flags, resize_flag::ALL, "virStorageVolResize")?;
    let has = |flag: u32| call.flags & flag != 0;
    let (pool, found) = volume(&client, &call.vol).await?;
    let size = match (has(resize_flag::DELTA), has(resize_flag::SHRINK)) {
        (false, _) => Resize::To(call.capacity),
        (true, false) => Resize::By(call.capacity),
        (true, true) => Resize::LessBy(call.capacity),
    };
    let options = ResizeOptions {
        size,
        shrink: has(resize_flag::SHRINK),
        allocate: has(resize_flag::ALLOCATE),
        format: None,
    };
    let resized = client.host().vol_resize(&pool, &found.name, &options).await;
    resized.map(drop).map_err(|error| failure::of_storage(&error))
}
