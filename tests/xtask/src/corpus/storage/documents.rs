//! Disks as documents have them, and their nodes as JSON.

use hostler_domain::Domain;
use hostler_domain::disk::Disk;
use hostler_domain::storage_source::{Location, StorageSource};
use hostler_driver_qemu::blockdev::{Chain, Names, Node, declared};
use hostler_sdk::Symbol;
use serde_json::Value;

/// A disk from the text of its element; a record need not say which target it has.
pub(super) fn disk(element: &str) -> Result<Disk, String> {
    let end = "</disk>";
    let element = match element.contains("<target") {
        true => element.to_owned(),
        false => element.replace(end, &format!("<target dev='vda'/>{end}")),
    };
    let xml = format!(
        "<domain type='kvm'><name>corpus</name><memory>1</memory><os><type>hvm</type></os><devices>{element}</devices></domain>"
    );
    let domain = Domain::parse(&xml).map_err(|error| error.to_string())?;
    domain.devices.disks.first().cloned().ok_or_else(|| "it has no disk".to_owned())
}

/// The layers of a disk as the document names them.
pub(super) fn sources(element: &str) -> Result<Vec<StorageSource>, String> {
    Ok(disk(element)?.source.layers().cloned().collect())
}

/// The block nodes of a disk, from the base up; the layers are what the document declares.
pub(super) fn nodes(disk: &Disk, names: Names) -> Result<Vec<Value>, String> {
    let layers = declared(disk);
    let chain = Chain { disk, layers: &layers, names, comparison: true };
    let nodes = chain.nodes().map_err(|error| format!("{error:?}"))?;
    let blocks = nodes.iter().filter_map(|node| match node {
        Node::Block(node) => Some(json(node, &disk.source)),
        Node::Object(_) => None,
    });
    blocks.collect()
}

/// A value with the paths that the document has in the places of handles.
pub(super) fn json(value: &hostler_sdk::Value, active: &StorageSource) -> Result<Value, String> {
    let text = value.to_json(&|symbol| path(symbol, active));
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

fn path(symbol: &Symbol, active: &StorageSource) -> String {
    let Symbol::Image { layer, .. } = symbol else { return format!("{symbol:?}") };
    let place = usize::try_from(*layer).unwrap_or(usize::MAX);
    match active.layers().nth(place).map(|source| &source.location) {
        Some(
            Location::File(path) | Location::Block(path) | Location::Dir(path) | Location::VhostVdpa(path),
        ) => path.clone(),
        _ => format!("{symbol:?}"),
    }
}
