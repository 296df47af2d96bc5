//! A disk's chain as block nodes, from the base to the active layer.

use hostler_sdk::domain::disk::{Disk, DiskDevice};
use hostler_sdk::domain::storage_source::StorageSource;
use hostler_sdk::{Below, Error, Layer, ProblemExt, Value, problem};

use super::filters;
use super::format::{Backing, Format, layer_format, reads_plain_bytes};
use super::names::{Names, check_node_name};
use super::objects::{Needed, Object};
use super::options::Options;
use super::protocol::Protocol;

/// One thing that must be there before a disk can be plugged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// An object that block nodes refer to.
    Object(Object),
    /// A block node.
    Block(Value),
}

/// A disk's chain.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a> {
    /// The disk.
    pub disk: &'a Disk,
    /// The layers, the active one first.
    pub layers: &'a [Layer],
    /// What the layers' nodes are called.
    pub names: Names,
    /// Whether this is only compared: then layers need not have been looked at.
    pub comparison: bool,
}

impl Chain<'_> {
    /// The node that the guest's device uses.
    ///
    /// # Errors
    /// A recorded name that is missing, or too long for QEMU.
    pub fn top(&self) -> Result<String, Error> {
        if self.disk.driver.copy_on_read == Some(true) {
            return Ok(filters::copy_on_read_name(self.disk));
        }
        self.top_of(0)
    }

    /// Everything the chain needs, each thing after what it refers to.
    ///
    /// # Errors
    /// A layer that nobody looked at, outside a comparison; a kind or format that QEMU does not read.
    pub fn nodes(&self) -> Result<Vec<Node>, Error> {
        let mut nodes = Vec::new();
        for (index, layer) in self.layers.iter().enumerate().rev() {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            self.layer(index, layer, &mut nodes)?;
        }
        if self.disk.driver.copy_on_read == Some(true) {
            let name = filters::copy_on_read_name(self.disk);
            check_node_name(&name)?;
            nodes.push(Node::Block(filters::copy_on_read(&name, &self.top_of(0)?)));
        }
        Ok(nodes)
    }

    fn layer(&self, index: u32, layer: &Layer, nodes: &mut Vec<Node>) -> Result<(), Error> {
        let source = self.source(index);
        let names = self.names.of_layer(index, source)?;
        let needed = Needed::of(source, &names, index);
        nodes.extend(needed.below_storage().into_iter().map(Node::Object));
        let protocol = Protocol {
            disk: self.disk.target.as_str(),
            index,
            layer,
            source,
            options: Options::of(self.disk),
            names: &names,
            comparison: self.comparison,
            floppy: self.disk.device == DiskDevice::Floppy,
        };
        let named = self.names_bytes(layer);
        let mut file = place(protocol.node(named.then_some(&names.storage))?, &names.storage, named, nodes);
        if let Some(slice) = self.slice(layer, source, named.then_some(&names.slice), &file) {
            file = place(slice, &names.slice, named, nodes);
        }
        nodes.extend(needed.below_format().into_iter().map(Node::Object));
        let format = Format {
            format: layer_format(layer),
            read_only: layer.read_only || self.disk.device == DiskDevice::Cdrom,
            source,
            options: Options::of(self.disk),
            active: index == 0,
            file,
            data_file: layer.data_file.map(|data| self.top_of(data)).transpose()?,
            backing: self.backing(layer, index)?,
            keys: &needed.content_keys(),
        };
        nodes.push(Node::Block(format.node(&names.format)?));
        Ok(())
    }

    /// Whether the nodes below a layer's format stand for themselves, with names. Where the format is interpreted they
    /// are inside its node, so that the host can hold the file's format against it, and have no name by which a guest
    /// could be given the bytes.
    fn names_bytes(&self, layer: &Layer) -> bool {
        // libvirt's lines, which a comparison is held against, have names everywhere.
        self.comparison || reads_plain_bytes(layer_format(layer))
    }

    /// The node for a part of a file, where the format's own node cannot say which part.
    fn slice(
        &self,
        layer: &Layer,
        source: Option<&StorageSource>,
        name: Option<&String>,
        file: &Value,
    ) -> Option<Value> {
        let source = source?;
        let slice = source.slice.as_ref()?;
        if layer_format(layer) == "raw" && source.encryption.is_none() {
            return None;
        }
        Some(
            Value::mapping()
                .with("driver", "raw")
                .with_some("node-name", name.map(String::as_str))
                .with("offset", slice.offset)
                .with("size", slice.size)
                .with("file", file.clone())
                .with("auto-read-only", true)
                .with("discard", "unmap")
                .with_some("cache", Options::of(self.disk).cache()),
        )
    }

    fn backing(&self, layer: &Layer, index: u32) -> Result<Backing, Error> {
        match layer.below {
            Below::Layer(below) => Ok(Backing::Node(self.top_of(below)?)),
            Below::Nothing => Ok(Backing::Nothing),
            Below::Unexamined if self.comparison => Ok(Backing::Unexamined),
            Below::Unexamined => {
                let disk = self.disk.target.as_str();
                let message = format!("nobody looked at what lies below layer {index} of disk '{disk}'");
                Err(problem("qemu.chain-unexamined", message)
                    .hint("end the chain in the document with <backingStore/>, or name its layers")
                    .detail("disk", disk)
                    .conflict())
            }
        }
    }

    /// The uppermost node of a layer: what a layer above it, or a device, refers to.
    fn top_of(&self, layer: u32) -> Result<String, Error> {
        Ok(self.names.of_layer(layer, self.source(layer))?.format)
    }

    /// What the document says about a layer.
    fn source(&self, layer: u32) -> Option<&StorageSource> {
        self.disk.source.layers().nth(usize::try_from(layer).ok()?)
    }
}

/// How the node above refers to `node`: by its name, or with the node inside.
fn place(node: Value, name: &str, named: bool, nodes: &mut Vec<Node>) -> Value {
    if !named {
        return node;
    }
    nodes.push(Node::Block(node));
    name.into()
}

#[cfg(test)]
mod tests;
