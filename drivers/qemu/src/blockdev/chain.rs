//! A disk's chain as block nodes, from the base to the active layer.

use hostler_sdk::domain::disk::{Disk, DiskDevice, IoTune};
use hostler_sdk::domain::storage_source::StorageSource;
use hostler_sdk::{Below, Error, Layer, ProblemExt, Value, problem};

use super::filters;
use super::format::{Backing, Format, layer_format};
use super::names::{LayerNames, Names, check_node_name};
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
        if self.limits().is_some() {
            return Ok(self.names.filter());
        }
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
        let mut below = self.top_of(0)?;
        if self.disk.driver.copy_on_read == Some(true) {
            let name = filters::copy_on_read_name(self.disk);
            check_node_name(&name)?;
            nodes.push(Node::Block(filters::copy_on_read(&name, &below)));
            below = name;
        }
        if let Some(tune) = self.limits() {
            let group = filters::group_id(self.disk, tune);
            nodes.push(Node::Object(Object::Limits(filters::group(&group, tune))));
            nodes.push(Node::Block(filters::throttle(&self.names.filter(), &group, &below)));
        }
        Ok(nodes)
    }

    /// The limits that a filter keeps. libvirt 8.5 sets them when the guest runs, so a comparison has none.
    fn limits(&self) -> Option<&IoTune> {
        self.disk.iotune.as_ref().filter(|_| !self.comparison)
    }

    fn layer(&self, index: u32, layer: &Layer, nodes: &mut Vec<Node>) -> Result<(), Error> {
        let source = self.source(index);
        let names = self.names.of_layer(index, source)?;
        let needed = Needed::of(source, &names);
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
        nodes.push(Node::Block(protocol.node()?));
        let slice = self.slice(layer, source, &names);
        let file = if slice.is_some() { names.slice.clone() } else { names.storage.clone() };
        nodes.extend(slice.map(Node::Block));
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

    /// The node for a part of a file, where the format's own node cannot say which part.
    fn slice(&self, layer: &Layer, source: Option<&StorageSource>, names: &LayerNames) -> Option<Value> {
        let source = source?;
        let slice = source.slice.as_ref()?;
        if layer_format(layer) == "raw" && source.encryption.is_none() {
            return None;
        }
        Some(
            Value::mapping()
                .with("driver", "raw")
                .with("node-name", names.slice.as_str())
                .with("offset", slice.offset)
                .with("size", slice.size)
                .with("file", names.storage.as_str())
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

#[cfg(test)]
mod tests;
