//! What pools can be made of, and which kinds of pools there are.

use std::sync::Arc;

use hostler_domain::Fragment;
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::wire::{
    ConnectFindStoragePoolSources, ConnectFindStoragePoolSourcesAnswer, ConnectGetStoragePoolCapabilities,
    ConnectGetStoragePoolCapabilitiesAnswer,
};

use super::only;
use crate::client::Client;
use crate::dispatch::{Incoming, Work, routes};
use crate::failure;

/// Every type of pool that documents have, and whether one can be started here.
const TYPES: [(&str, bool); 14] = [
    ("dir", true),
    ("fs", true),
    ("netfs", true),
    ("logical", true),
    ("iscsi", false),
    ("iscsi-direct", false),
    ("scsi", false),
    ("mpath", false),
    ("disk", false),
    ("rbd", false),
    ("sheepdog", false),
    ("gluster", false),
    ("zfs", false),
    ("vstorage", false),
];
/// Formats of volumes that are files.
const VOLUME_FORMATS: [&str; 9] = ["raw", "qcow2", "qcow", "qed", "vmdk", "vpc", "vdi", "vhdx", "parallels"];
/// File systems that a pool may be on; whatever is mounted is one.
const FILE_SYSTEMS: [&str; 5] = ["auto", "ext4", "xfs", "btrfs", "vfat"];
const SHARED_FILE_SYSTEMS: [&str; 3] = ["auto", "nfs", "cifs"];

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming;
        ConnectFindStoragePoolSources => find,
        ConnectGetStoragePoolCapabilities => async |_, call: ConnectGetStoragePoolCapabilities| {
            only(call.flags, 0, "virConnectGetStoragePoolCapabilities")?;
            Ok(ConnectGetStoragePoolCapabilitiesAnswer { capabilities: capabilities() })
        },
    }
}

async fn find(
    client: Arc<Client>,
    call: ConnectFindStoragePoolSources,
) -> Result<ConnectFindStoragePoolSourcesAnswer, RpcError> {
    only(call.flags, 0, "virConnectFindStoragePoolSources")?;
    if !TYPES.iter().any(|(known, _)| *known == call.r#type) {
        let detail = format!("unknown storage pool type {}", call.r#type);
        return Err(RpcError::new(codes::ERR_INTERNAL_ERROR, codes::FROM_STORAGE, detail));
    }
    let groups = client.host().pool_sources(&call.r#type).await.map_err(|error| match error.code() {
        "pool.no-discovery" => RpcError::new(codes::ERR_NO_SUPPORT, codes::FROM_STORAGE, &error.message),
        _ => failure::of_storage(&error),
    })?;
    let sources = groups.iter().fold(Fragment::new("sources"), |sources, group| {
        let devices = group.devices.iter().map(|device| Fragment::new("device").attribute("path", device));
        let source = devices.fold(Fragment::new("source"), Fragment::child);
        let format = Fragment::new("format").attribute("type", "lvm2");
        sources.child(source.child(Fragment::new("name").text(&group.name)).child(format))
    });
    Ok(ConnectFindStoragePoolSourcesAnswer { xml: format!("{}\n", sources.to_xml()) })
}

fn capabilities() -> String {
    let pools = TYPES.iter().map(|(name, supported)| {
        let pool = Fragment::new("pool")
            .attribute("type", name)
            .attribute("supported", if *supported { "yes" } else { "no" });
        match *name {
            "dir" => pool.child(volumes()),
            "fs" => pool.child(sources(&FILE_SYSTEMS)).child(volumes()),
            "netfs" => pool.child(sources(&SHARED_FILE_SYSTEMS)).child(volumes()),
            "logical" => pool.child(sources(&["lvm2"])),
            _ => pool,
        }
    });
    format!("{}\n", pools.fold(Fragment::new("storagepoolCapabilities"), Fragment::child).to_xml())
}

fn volumes() -> Fragment {
    options("volOptions", "targetFormatType", &VOLUME_FORMATS)
}

fn sources(formats: &[&str]) -> Fragment {
    options("poolOptions", "sourceFormatType", formats)
}

/// What there is to choose from; the first is the default.
fn options(element: &str, name: &str, values: &[&str]) -> Fragment {
    let first = values.first().copied().unwrap_or_default();
    let value = |value: &&str| Fragment::new("value").text(value);
    let all = values.iter().map(value).fold(Fragment::new("enum").attribute("name", name), Fragment::child);
    Fragment::new(element).child(Fragment::new("defaultFormat").attribute("type", first)).child(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_a_document_with_every_type() {
        let text = capabilities();
        let document = hostler_domain::Document::parse(&text).unwrap();
        assert_eq!(document.elements(document.root()).count(), TYPES.len());
        assert!(
            text.contains("<pool type='dir' supported='yes'>") && text.contains("<value>qcow2</value>"),
            "{text}"
        );
    }
}
