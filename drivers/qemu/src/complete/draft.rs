//! A document while it is being completed: questions, additions, refusals.
//!
//! Completion reads the document itself, not a projection of it: it writes in small steps, and every
//! step sees what the step before wrote. Words and numbers have been checked by the projection that
//! the domain was made from, so a missing answer here means a missing attribute.

use hostler_sdk::domain::address::Address;
use hostler_sdk::domain::{Document, Fragment, NodeId};
use hostler_sdk::{Error, Problem, ProblemExt, problem};

use crate::address::place;
use crate::machine::{DEFAULT_MACHINE, Machine};

/// Most devices of one domain: far more than fit on its buses, few enough to compare each with all others.
const MAX_DEVICES: usize = 2048;

/// A document under completion.
pub(crate) struct Draft {
    document: Document,
    /// `<devices>`.
    devices: NodeId,
    /// The controllers that were added, in the order in which they were.
    added: Vec<NodeId>,
    /// What the document's machine type means.
    pub(crate) machine: Machine,
}

impl Draft {
    /// Takes a document; adds `<devices>` when there is none.
    ///
    /// # Errors
    /// The document has more devices than a domain can have.
    pub(crate) fn new(mut document: Document) -> Result<Self, Error> {
        let root = document.root();
        let devices = match document.child(root, "devices") {
            Some(devices) => devices,
            None => document.append_child(root, "<devices/>")?,
        };
        let kind = document.child(root, "os").and_then(|os| document.child(os, "type"));
        let name = kind.and_then(|kind| document.attribute(kind, "machine")).unwrap_or(DEFAULT_MACHINE);
        let machine = Machine::of(name);
        let draft = Self { document, devices, added: Vec::new(), machine };
        if draft.document.elements(devices).count() > MAX_DEVICES {
            return Err(draft
                .refuse(
                    devices,
                    "qemu.too-many-devices",
                    format!("the domain has more than {MAX_DEVICES} devices"),
                )
                .hint("leave devices out")
                .unsupported());
        }
        Ok(draft)
    }

    /// The document as it is now.
    pub(crate) fn document(&self) -> &Document {
        &self.document
    }

    /// Ends the completion.
    pub(crate) fn into_document(self) -> Document {
        self.document
    }

    /// The root element.
    pub(crate) fn root(&self) -> NodeId {
        self.document.root()
    }

    // ---- questions ------------------------------------------------------------------------

    /// The devices of one element name, in document order.
    pub(crate) fn devices(&self, name: &str) -> Vec<NodeId> {
        let all = self.document.elements(self.devices);
        all.filter(|node| self.document.name(*node) == name).collect()
    }

    /// The first child of this name.
    pub(crate) fn child(&self, node: NodeId, name: &str) -> Option<NodeId> {
        self.document.child(node, name)
    }

    /// An attribute that is there and not empty.
    pub(crate) fn get(&self, node: NodeId, name: &str) -> Option<&str> {
        self.document.attribute(node, name).filter(|value| !value.is_empty())
    }

    /// Whether an attribute has this value.
    pub(crate) fn says(&self, node: NodeId, name: &str, value: &str) -> bool {
        self.get(node, name) == Some(value)
    }

    /// An attribute of the first child of this name.
    pub(crate) fn child_get(&self, node: NodeId, child: &str, name: &str) -> Option<&str> {
        self.child(node, child).and_then(|child| self.get(child, name))
    }

    /// A decimal or (`0x`) hexadecimal attribute.
    pub(crate) fn number(&self, node: NodeId, name: &str) -> Option<u32> {
        self.get(node, name).and_then(place::number)
    }

    /// The place of a device; none when it has no address, or one of a type without a place.
    pub(crate) fn place(&self, node: NodeId) -> Option<Address> {
        place::read(&self.document, self.child(node, "address")?)
    }

    /// The type of a device's address.
    pub(crate) fn address_type(&self, node: NodeId) -> Option<&str> {
        self.child_get(node, "address", "type")
    }

    // ---- additions ------------------------------------------------------------------------

    /// Sets an attribute that is not there; leaves one that is.
    pub(crate) fn fill(&mut self, node: NodeId, name: &str, value: &str) -> Result<(), Error> {
        if self.get(node, name).is_none() {
            self.document.set_attribute(node, name, value)?;
        }
        Ok(())
    }

    /// Sets an attribute, whatever it was.
    pub(crate) fn set(&mut self, node: NodeId, name: &str, value: &str) -> Result<(), Error> {
        Ok(self.document.set_attribute(node, name, value)?)
    }

    /// Makes sure that a child is there; gives it.
    pub(crate) fn need_child(&mut self, node: NodeId, name: &str) -> Result<NodeId, Error> {
        match self.child(node, name) {
            Some(child) => Ok(child),
            None => Ok(self.document.append_child(node, &Fragment::new(name).to_xml())?),
        }
    }

    /// Adds a child at the end of an element.
    pub(crate) fn append(&mut self, node: NodeId, fragment: &str) -> Result<NodeId, Error> {
        Ok(self.document.append_child(node, fragment)?)
    }

    /// Writes the place of a device into its address element, which is made when missing.
    pub(crate) fn set_place(&mut self, node: NodeId, address: &Address) -> Result<(), Error> {
        let fragment = address.to_fragment().to_xml();
        let Some(element) = self.child(node, "address") else {
            self.document.append_child(node, &fragment)?;
            return Ok(());
        };
        // The fragment is read back as a document: attributes that are there are replaced in place.
        let written = Document::parse(&fragment)?;
        for attribute in written.attributes(written.root()) {
            self.document.set_attribute(element, &attribute.name, &attribute.value)?;
        }
        Ok(())
    }

    /// Adds a device after the last one of its name, else after all others.
    pub(crate) fn add_device(&mut self, name: &str, fragment: &str) -> Result<NodeId, Error> {
        match self.devices(name).last().copied() {
            Some(last) => self.insert_after(last, fragment),
            None => self.append(self.devices, fragment),
        }
    }

    /// Adds an element right after another one.
    pub(crate) fn insert_after(&mut self, node: NodeId, fragment: &str) -> Result<NodeId, Error> {
        let parent = self.document.parent(node).unwrap_or(self.devices);
        let next = self.document.elements(parent).skip_while(|other| *other != node).nth(1);
        match next {
            Some(next) => self.insert_before(next, fragment),
            None => self.append(parent, fragment),
        }
    }

    /// Adds an element before `<devices>`.
    pub(crate) fn insert_before_devices(&mut self, fragment: &str) -> Result<NodeId, Error> {
        self.insert_before(self.devices, fragment)
    }

    /// Adds an element right before another one.
    pub(crate) fn insert_before(&mut self, node: NodeId, fragment: &str) -> Result<NodeId, Error> {
        Ok(self.document.insert_before(node, fragment)?)
    }

    /// Notes that a controller was added.
    pub(crate) fn note_added(&mut self, controller: NodeId) {
        self.added.push(controller);
    }

    /// How many controllers were added before this one; none for one that the author wrote.
    pub(crate) fn added_place(&self, controller: NodeId) -> Option<usize> {
        self.added.iter().position(|added| *added == controller)
    }

    // ---- refusals -------------------------------------------------------------------------

    /// A problem with an element, carrying its path and position.
    pub(crate) fn refuse(&self, node: NodeId, code: &str, message: impl Into<String>) -> Problem {
        let position = self.document.position(node);
        problem(code, message)
            .detail("element", self.document.path(node))
            .detail("line", position.line.to_string())
            .detail("column", position.column.to_string())
    }
}
