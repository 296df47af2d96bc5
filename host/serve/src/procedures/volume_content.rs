//! What is in volumes: it comes, goes, and is overwritten.

use std::sync::Arc;

use hostler_domains::{Window, WipePattern};
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::wire::{
    StorageVolDownload, StorageVolHandle, StorageVolUpload, StorageVolWipe, StorageVolWipePattern,
};

use super::only;
use super::volumes::volume;
use crate::client::Client;
use crate::dispatch::{Incoming, Work, routes};
use crate::failure;
use crate::streams::StreamBody;

/// The flag of a stream that has gaps for zeros.
const SPARSE: u32 = 1;

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming;
        StorageVolWipe => async |client, call: StorageVolWipe| {
            only(call.flags, 0, "virStorageVolWipe")?;
            wipe(&client, &call.vol, WipePattern::Zero).await
        },
        StorageVolWipePattern => wipe_pattern,
        ;
        StorageVolUpload => upload,
        StorageVolDownload => download,
    }
}

async fn download(client: Arc<Client>, call: StorageVolDownload) -> Result<((), StreamBody), RpcError> {
    only(call.flags, SPARSE, "virStorageVolDownload")?;
    let (pool, found) = volume(&client, &call.vol).await?;
    let window = Window { offset: call.offset, length: (call.length > 0).then_some(call.length) };
    let start = Box::new(move |to| {
        let outcome: crate::streams::Outcome = Box::pin(async move {
            let moved = client.host().vol_download(&pool, &found.name, to, window, Box::new(|_| {})).await;
            moved.map(drop).map_err(|error| failure::of_storage(&error))
        });
        outcome
    });
    let body = if call.flags & SPARSE == 0 { StreamBody::Out(start) } else { StreamBody::SparseOut(start) };
    Ok(((), body))
}

/// From its beginning, what comes takes the place of what is there once all of it is there; elsewhere, it is written over.
async fn upload(client: Arc<Client>, call: StorageVolUpload) -> Result<((), StreamBody), RpcError> {
    only(call.flags, SPARSE, "virStorageVolUpload")?;
    let (pool, found) = volume(&client, &call.vol).await?;
    let length = (call.length > 0).then_some(call.length);
    let window = (call.offset > 0).then_some(Window { offset: call.offset, length });
    // Gaps cost a client nothing: all of them are no longer than the volume.
    let zeros = found.capacity.max(found.physical);
    let start = Box::new(move |from| {
        let outcome: crate::streams::Outcome = Box::pin(async move {
            let host = client.host();
            let moved = host.vol_upload(&pool, &found.name, from, (window, length), Box::new(|_| {})).await;
            moved.map(drop).map_err(|error| failure::of_storage(&error))
        });
        outcome
    });
    let body = match call.flags & SPARSE {
        0 => StreamBody::In(start),
        _ => StreamBody::SparseIn(zeros, start),
    };
    Ok(((), body))
}

async fn wipe_pattern(client: Arc<Client>, call: StorageVolWipePattern) -> Result<(), RpcError> {
    const NAMES: [&str; 10] =
        ["zero", "nnsa", "dod", "bsi", "gutmann", "schneier", "pfitzner7", "pfitzner33", "random", "trim"];
    only(call.flags, 0, "virStorageVolWipePattern")?;
    let pattern = match call.algorithm {
        0 => WipePattern::Zero,
        8 => WipePattern::Random,
        other => {
            let name = usize::try_from(other).ok().and_then(|number| NAMES.get(number));
            let (code, detail) = match name {
                Some(name) => {
                    let detail = format!(
                        "'{name}' is no way in which this host wipes; it writes zeros, or random numbers"
                    );
                    (codes::ERR_ARGUMENT_UNSUPPORTED, detail)
                }
                None => (codes::ERR_INVALID_ARG, format!("wiping algorithm {other} not supported")),
            };
            return Err(RpcError::new(code, codes::FROM_STORAGE, detail));
        }
    };
    wipe(&client, &call.vol, pattern).await
}

async fn wipe(client: &Client, wanted: &StorageVolHandle, pattern: WipePattern) -> Result<(), RpcError> {
    let (pool, found) = volume(client, wanted).await?;
    let wiped = client.host().vol_wipe(&pool, &found.name, pattern, Box::new(|_| {})).await;
    wiped.map(drop).map_err(|error| failure::of_storage(&error))
}
