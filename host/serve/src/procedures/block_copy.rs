//! Disks that are copied while their guests run.
//!
//! A copy comes to be ready and stays so until a client says how it ends: with a pivot the guest goes on with the copy, without
//! one the copy is complete as of that moment.

use std::path::PathBuf;
use std::sync::Arc;

use hostler_domain::Document;
use hostler_domains::CopyOptions;
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::typed::TypedValue;
use hostler_rpc::wire::{DomainBlockCopy, DomainBlockRebase, DomainHandle, TypedParam};

use super::block_jobs::{Disk, bandwidth, failed, lacking, wrong};
use super::only;
use crate::client::{Client, reference};
use crate::dispatch::{Incoming, Work, routes};

/// Flags of a copy: the active layer only; the image is there already; the job is not to survive its guest, which none does.
mod flag {
    pub(super) const SHALLOW: u32 = 1;
    pub(super) const REUSE: u32 = 2;
    pub(super) const TRANSIENT: u32 = 4;
    pub(super) const ALL: u32 = SHALLOW | REUSE | TRANSIENT;
}

/// Those of a rebase that make it one: its copy may be raw, or a block device.
mod rebase_flag {
    pub(super) const SHALLOW: u32 = 1;
    pub(super) const REUSE: u32 = 2;
    pub(super) const RAW: u32 = 4;
    pub(super) const COPY: u32 = 8;
    pub(super) const DEVICE: u32 = 32;
    pub(super) const BYTES: u32 = 64;
    pub(super) const ALL: u32 = SHALLOW | REUSE | RAW | COPY | DEVICE | BYTES;
}

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming; DomainBlockCopy => copy, }
}

/// Whether a rebase is a copy.
pub(super) fn is_copy(flags: u32) -> bool {
    flags
        & (rebase_flag::COPY
            | rebase_flag::SHALLOW
            | rebase_flag::REUSE
            | rebase_flag::RAW
            | rebase_flag::DEVICE)
        != 0
}

async fn copy(client: Arc<Client>, call: DomainBlockCopy) -> Result<(), RpcError> {
    only(call.flags, flag::ALL, "virDomainBlockCopy")?;
    let (to, format) = image_in(&call.destxml)?;
    let most = bandwidth(limit(&call.params.0)?, true)?;
    let options = CopyOptions {
        to,
        format,
        shallow: call.flags & flag::SHALLOW != 0,
        reuse: call.flags & flag::REUSE != 0,
        bandwidth: most,
    };
    copied(&client, &call.dom, &call.path, options).await
}

/// A rebase that is a copy.
pub(super) async fn rebase(client: Arc<Client>, call: DomainBlockRebase) -> Result<(), RpcError> {
    use rebase_flag::{ALL, BYTES, COPY, DEVICE, RAW, REUSE, SHALLOW};
    only(call.flags, ALL, "virDomainBlockRebase")?;
    let has = |flag: u32| call.flags & flag != 0;
    if !has(COPY) {
        return Err(wrong("these flags are for a copy, which is a flag of its own"));
    }
    let Some(to) = call.base else { return Err(wrong("a copy needs the path of an image")) };
    let options = CopyOptions {
        to: PathBuf::from(to),
        format: has(RAW).then(|| "raw".to_owned()),
        shallow: has(SHALLOW),
        // A device is there, or nowhere.
        reuse: has(REUSE) || has(DEVICE),
        bandwidth: bandwidth(call.bandwidth, has(BYTES))?,
    };
    copied(&client, &call.dom, &call.path, options).await
}

async fn copied(
    client: &Client,
    dom: &DomainHandle,
    path: &str,
    mut options: CopyOptions,
) -> Result<(), RpcError> {
    let (domain, _job) = client.change(dom).await?;
    let disk = Disk::of(client, &domain, path).await?;
    if options.format.is_none() {
        // A copy has the format of what it is copied from, as clients know it.
        options.format = disk.layers.first().map(|layer| layer.format.clone());
    }
    let begun = client.host().block_copy(&reference(&domain), &disk.target, &options).await;
    begun.map(drop).map_err(|error| failed(&error))
}

/// Most bytes a second among the parameters.
fn limit(params: &[TypedParam]) -> Result<u64, RpcError> {
    let mut most = 0;
    for param in params {
        match (param.field.as_str(), &param.value) {
            ("bandwidth", TypedValue::ULong(bytes)) => most = *bytes,
            // How it is done, and not what: QEMU's own choice is good.
            ("granularity", TypedValue::UInt(_)) | ("buf-size", TypedValue::ULong(_)) => {}
            (name, _) => return Err(wrong(format!("parameter '{name}' is not known for a copy"))),
        }
    }
    Ok(most)
}

/// The image that a `<disk>` names, and its format.
fn image_in(xml: &str) -> Result<(PathBuf, Option<String>), RpcError> {
    let refused = |detail: String| RpcError::new(codes::ERR_XML_ERROR, codes::FROM_DOMAIN, detail);
    let document = Document::parse(xml).map_err(|error| refused(error.to_string()))?;
    let root = document.root();
    if document.name(root) != "disk" {
        return Err(refused(format!("expecting root element of 'disk', not '{}'", document.name(root))));
    }
    let of = |child: &str, name: &str| document.attribute(document.child(root, child)?, name);
    let path = of("source", "file").or_else(|| of("source", "dev"));
    let path = path.ok_or_else(|| lacking("a disk is copied to a file or a block device"))?;
    Ok((PathBuf::from(path), of("driver", "type").map(str::to_owned)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_is_that_of_the_disk() {
        let disk = "<disk type='file'><source file='/a'/><driver type='raw'/></disk>";
        assert_eq!(image_in(disk).unwrap(), (PathBuf::from("/a"), Some("raw".to_owned())));
        assert_eq!(image_in("<disk><source dev='/dev/a'/></disk>").unwrap().1, None);
        assert_eq!(image_in("<a/>").unwrap_err().code, codes::ERR_XML_ERROR);
        let network = image_in("<disk type='network'><source name='a'/></disk>");
        assert_eq!(network.unwrap_err().code, codes::ERR_ARGUMENT_UNSUPPORTED);
    }

    #[test]
    fn rebase_is_a_copy_by_any_flag_of_one() {
        assert!(!is_copy(0) && !is_copy(16 | 64) && is_copy(8) && is_copy(1));
    }
}
