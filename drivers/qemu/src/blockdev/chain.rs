//! A disk's chain as block nodes, from the base to the active layer.

use hostler_sdk::domain::disk::{Disk, DiskDevice};
use hostler_sdk::domain::storage_source::{Backing as DeclaredBacking, StorageSource};
use hostler_sdk::{Below, Error, Layer, ProblemExt, Value, problem};

use super::Options;
use super::format::{Backing, Format, layer_format};
use super::protocol::Protocol;
use super::secrets::secret_source;

/// One thing that must be there before a disk can be plugged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    /// An object with this id that holds a secret.
    Secret(String),
    /// A block node.
    Block(Value),
}

/// A disk's chain.
pub(crate) struct Chain<'a> {
    /// The disk.
    pub(crate) disk: &'a Disk,
    /// The layers, the active one first.
    pub(crate) layers: &'a [Layer],
    /// The number of the active layer's nodes.
    pub(crate) number: u32,
    /// Whether this is only compared: then layers need not have been looked at.
    pub(crate) comparison: bool,
}

impl Chain<'_> {
    /// The node that the guest's device uses.
    pub(crate) fn top(&self) -> String {
        if self.disk.driver.copy_on_read == Some(true) {
            return format!("libvirt-CoR-{}", self.disk.target);
        }
        format_name(self.number)
    }

    /// Everything the chain needs, each thing after what it refers to.
    ///
    /// # Errors
    /// A layer that nobody looked at, outside a comparison; a kind or format that QEMU does not read.
    pub(crate) fn nodes(&self) -> Result<Vec<Node>, Error> {
        let mut sources = vec![Some(&self.disk.source)];
        sources.extend(declared_below(&self.disk.source).map(Some));
        let mut nodes = Vec::new();
        for (index, layer) in self.layers.iter().enumerate().rev() {
            let source = sources.get(index).copied().flatten();
            self.layer(index, layer, source, &mut nodes)?;
        }
        if self.disk.driver.copy_on_read == Some(true) {
            nodes.push(Node::Block(
                Value::mapping()
                    .with("driver", "copy-on-read")
                    .with("node-name", self.top())
                    .with("file", format_name(self.number))
                    .with("discard", "unmap"),
            ));
        }
        Ok(nodes)
    }

    fn layer(
        &self,
        index: usize,
        layer: &Layer,
        source: Option<&StorageSource>,
        nodes: &mut Vec<Node>,
    ) -> Result<(), Error> {
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        let number = self.number_of(index);
        let secrets = secret_source(source, number);
        nodes.extend(secrets.server.clone().map(Node::Secret));
        let protocol = Protocol {
            disk: self.disk.target.as_str(),
            index,
            layer,
            source,
            options: Options::of(self.disk),
            secret: secrets.server,
            key: secrets.key.clone(),
            comparison: self.comparison,
            floppy: self.disk.device == DiskDevice::Floppy,
        };
        let storage = format!("libvirt-{number}-storage");
        nodes.push(Node::Block(protocol.node(&storage)?));
        let file = self.slice(layer, source, number, &storage, nodes).unwrap_or(storage);
        nodes.extend(secrets.key.clone().map(Node::Secret));
        let format = Format {
            format: layer_format(layer),
            read_only: layer.read_only || self.disk.device == DiskDevice::Cdrom,
            source,
            options: Options::of(self.disk),
            active: index == 0,
            file,
            data_file: layer.data_file.map(|data| format_name(self.number_of(data))),
            backing: self.backing(layer, index)?,
            key: secrets.key,
        };
        nodes.push(Node::Block(format.node(&format_name(number))?));
        Ok(())
    }

    /// The node for a part of a file, where the format's own node cannot say which part.
    fn slice(
        &self,
        layer: &Layer,
        source: Option<&StorageSource>,
        number: u32,
        storage: &str,
        nodes: &mut Vec<Node>,
    ) -> Option<String> {
        let source = source?;
        let slice = source.slice.as_ref()?;
        if layer_format(layer) == "raw" && source.encryption.is_none() {
            return None;
        }
        let name = format!("libvirt-{number}-slice-sto");
        nodes.push(Node::Block(
            Value::mapping()
                .with("driver", "raw")
                .with("node-name", name.as_str())
                .with("offset", slice.offset)
                .with("size", slice.size)
                .with("file", storage)
                .with("auto-read-only", true)
                .with("discard", "unmap")
                .with_some("cache", Options::of(self.disk).cache()),
        ));
        Some(name)
    }

    fn backing(&self, layer: &Layer, index: u32) -> Result<Backing, Error> {
        match layer.below {
            Below::Layer(below) => Ok(Backing::Node(format_name(self.number_of(below)))),
            Below::Nothing => Ok(Backing::Nothing),
            Below::Unexamined if self.comparison => Ok(Backing::Unexamined),
            Below::Unexamined => {
                let disk = self.disk.target.as_str();
                let message = format!("nobody looked at what lies below layer {index} of disk '{disk}'");
                Err(problem("qemu.chain-unexamined", message).detail("disk", disk).conflict())
            }
        }
    }

    fn number_of(&self, layer: u32) -> u32 {
        self.number.saturating_add(layer)
    }
}

/// The name of a layer's uppermost node.
fn format_name(number: u32) -> String {
    format!("libvirt-{number}-format")
}

/// The sources that the document declares below this one.
fn declared_below(source: &StorageSource) -> impl Iterator<Item = &StorageSource> {
    std::iter::successors(Some(source), |source| match &source.backing {
        DeclaredBacking::Layer(below) => Some(below),
        DeclaredBacking::Unknown | DeclaredBacking::Nothing => None,
    })
    .skip(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chains::declared;
    use hostler_sdk::domain::Domain;

    fn domain(disk: &str) -> Domain {
        Domain::parse(&format!(
            "<domain type='qemu'><name>n</name><memory>1024</memory><os><type>hvm</type></os><devices>{disk}</devices></domain>"
        ))
        .unwrap()
    }

    const CHAIN: &str = "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/top'/>\
        <backingStore type='file'><format type='qcow2'/><source file='/base'/><backingStore/></backingStore>\
        <target dev='vda' bus='virtio'/></disk>";

    fn blocks(disk: &str, comparison: bool) -> Result<Vec<Value>, Error> {
        let domain = domain(disk);
        let disk = &domain.devices.disks[0];
        let layers = declared(disk);
        let nodes = Chain { disk, layers: &layers, number: 1, comparison }.nodes()?;
        Ok(nodes
            .into_iter()
            .filter_map(|node| if let Node::Block(node) = node { Some(node) } else { None })
            .collect())
    }

    #[test]
    fn s0_the_chain_ends_with_nothing_and_every_layer_names_the_one_below() {
        let nodes = blocks(CHAIN, false).unwrap();
        let backing: Vec<_> = nodes.iter().filter_map(|node| node.get("backing")).collect();
        assert_eq!(backing, [&Value::Null, &Value::from("libvirt-2-format")]);
    }

    #[test]
    fn s0_a_layer_that_nobody_looked_at_is_never_started() {
        let open = CHAIN.replace("<backingStore/>", "");
        assert!(blocks(&open, true).is_ok(), "it can be shown");
        let Err(Error::Conflict(problem)) = blocks(&open, false) else { panic!("started") };
        assert_eq!(problem.code, "qemu.chain-unexamined");
    }

    #[test]
    fn s1_protocol_nodes_are_auto_read_only_and_formats_say_read_only() {
        let nodes = blocks(CHAIN, false).unwrap();
        let (formats, protocols): (Vec<_>, Vec<_>) =
            nodes.iter().partition(|node| node.get("file").is_some());
        assert_eq!((formats.len(), protocols.len()), (2, 2));
        for protocol in protocols {
            assert_eq!(protocol.get("auto-read-only"), Some(&Value::from(true)));
            assert_eq!(protocol.get("read-only"), None);
        }
        let read_only: Vec<_> = formats.iter().map(|node| node.get("read-only")).collect();
        assert_eq!(read_only, [Some(&Value::from(true)), Some(&Value::from(false))], "base first");
    }
}
