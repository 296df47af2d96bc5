//! What the projection asked of the document, and so what it left unread.
//!
//! The typed readers are the only list of what is modelled: every name they ask for is noted here, and
//! whatever was never asked for is either a slip (an error) or unmodelled (reported, kept verbatim).

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::document::{Document, NodeId};
use crate::error::{Position, XmlError, XmlErrorKind};
use crate::suggest::nearest;

/// Names that libvirt 9.0 accepts but this crate does not read. They sit close enough to names that it
/// does read to be taken for slips, so they are listed: they are reported as unmodelled instead.
const KNOWN_UNREAD: &[&str] = &[
    "alias",
    "audio",
    "backend",
    "bandwidth",
    "blkiotune",
    "blockio",
    "boot",
    "cachetune",
    "cell",
    "cid",
    "cipher",
    "codec",
    "cookie",
    "cpuset",
    "cputune",
    "crypto",
    "desc",
    "driver",
    "fibrechannel",
    "filterref",
    "genid",
    "gid",
    "guest",
    "host",
    "hpt",
    "htm",
    "hub",
    "ibs",
    "idmap",
    "image",
    "initarg",
    "inbound",
    "outbound",
    "interleave",
    "ip",
    "ivgen",
    "label",
    "lease",
    "link",
    "listen",
    "local",
    "mac",
    "master",
    "memtune",
    "mode",
    "msrs",
    "name",
    "node",
    "nvram",
    "origstates",
    "page",
    "panic",
    "path",
    "pool",
    "port",
    "pool",
    "pstore",
    "resource",
    "ras",
    "route",
    "script",
    "sgx",
    "state",
    "states",
    "tag",
    "target",
    "teaming",
    "tune",
    "type",
    "uid",
    "vcpu",
    "vcpus",
    "version",
    "viosvga",
    "vlan",
    "xpath",
    "zpci",
];

/// Something in the document that the model does not read; kept verbatim, and of no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmodelled {
    /// The element, or the element with `@attribute`, as a path from the root.
    pub path: String,
    /// Where it stands.
    pub position: Position,
}

impl fmt::Display for Unmodelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.position, self.path)
    }
}

#[derive(Debug, Default)]
struct Asked {
    /// The element was asked for by namespace, so its parent's names do not tell.
    seen: bool,
    attributes: BTreeSet<&'static str>,
    children: BTreeSet<&'static str>,
}

/// The names asked for, per element.
#[derive(Debug, Default)]
pub(crate) struct Trace(RefCell<BTreeMap<NodeId, Asked>>);

impl Trace {
    pub(crate) fn attribute(&self, node: NodeId, name: &'static str) {
        self.0.borrow_mut().entry(node).or_default().attributes.insert(name);
    }

    pub(crate) fn children(&self, node: NodeId, name: &'static str) {
        self.0.borrow_mut().entry(node).or_default().children.insert(name);
    }

    pub(crate) fn seen(&self, node: NodeId) {
        self.0.borrow_mut().entry(node).or_default().seen = true;
    }

    /// Splits what was left unread into slips (the first is the error) and unmodelled things.
    pub(crate) fn unread(&self, document: &Document) -> Result<Vec<Unmodelled>, XmlError> {
        let mut unmodelled = Vec::new();
        let all = self.0.borrow();
        for (node, asked) in all.iter() {
            unread_attributes(document, *node, asked, &mut unmodelled)?;
            unread_children(document, *node, &all, &mut unmodelled)?;
        }
        unmodelled.sort_by_key(|thing| thing.position);
        Ok(unmodelled)
    }
}

fn unread_attributes(
    document: &Document,
    node: NodeId,
    asked: &Asked,
    unmodelled: &mut Vec<Unmodelled>,
) -> Result<(), XmlError> {
    for attribute in document.attributes(node) {
        let name = attribute.name.as_str();
        if asked.attributes.contains(name) || name.starts_with("xml") {
            continue;
        }
        if let Some(near) = slip(name, &asked.attributes) {
            let message = format!("unknown attribute '{name}'");
            return Err(XmlError::new(XmlErrorKind::UnknownAttribute, attribute.position, message)
                .at_path(document.path(node))
                .hint(format!("did you mean '{near}'?")));
        }
        let path = format!("{}@{name}", document.path(node));
        unmodelled.push(Unmodelled { path, position: attribute.position });
    }
    Ok(())
}

fn unread_children(
    document: &Document,
    node: NodeId,
    all: &BTreeMap<NodeId, Asked>,
    unmodelled: &mut Vec<Unmodelled>,
) -> Result<(), XmlError> {
    let Some(asked) = all.get(&node) else { return Ok(()) };
    for child in document.elements(node) {
        let name = document.name(child);
        if asked.children.contains(name) || all.get(&child).is_some_and(|asked| asked.seen) {
            continue;
        }
        if let Some(near) = slip(name, &asked.children) {
            let message = format!("unknown element '{name}'");
            return Err(XmlError::new(XmlErrorKind::UnknownElement, document.position(child), message)
                .at_path(document.path(child))
                .hint(format!("did you mean '{near}'?")));
        }
        unmodelled.push(Unmodelled { path: document.path(child), position: document.position(child) });
    }
    Ok(())
}

fn slip<'a>(name: &str, asked: &BTreeSet<&'a str>) -> Option<&'a str> {
    if KNOWN_UNREAD.contains(&name) || name.contains(':') {
        return None;
    }
    nearest(name, asked.iter().copied())
}
