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

/// Names that libvirt 9.0 accepts, this crate does not read, and that stand beside names that it does read and
/// that look alike (`initdir` beside `initrd`, `hpt` beside `hap`): unmodelled, not slips.
const KNOWN_UNREAD: &[&str] = &[
    "guest",
    "hpt",
    "htm",
    "initarg",
    "initdir",
    "initenv",
    "initgroup",
    "inituser",
    "ras",
    "route",
    "space_soft_limit",
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

/// Most unmodelled things that are listed; beyond that nobody reads on, and hostile documents cost time.
const MAX_UNMODELLED: usize = 256;

#[derive(Debug, Default)]
struct Asked {
    /// The element was found by its namespace, so the names its parent was asked for do not tell.
    namespaced: bool,
    attributes: BTreeSet<&'static str>,
    children: BTreeSet<&'static str>,
    /// Names of children that are known and left alone.
    kept: BTreeSet<&'static str>,
}

/// The names asked for, per element that was looked at.
#[derive(Debug, Default)]
pub(crate) struct Trace(RefCell<BTreeMap<NodeId, Asked>>);

impl Trace {
    pub(crate) fn touch(&self, node: NodeId) {
        self.0.borrow_mut().entry(node).or_default();
    }

    pub(crate) fn attribute(&self, node: NodeId, name: &'static str) {
        self.0.borrow_mut().entry(node).or_default().attributes.insert(name);
    }

    pub(crate) fn children(&self, node: NodeId, name: &'static str) {
        self.0.borrow_mut().entry(node).or_default().children.insert(name);
    }

    pub(crate) fn kept(&self, node: NodeId, name: &'static str) {
        self.0.borrow_mut().entry(node).or_default().kept.insert(name);
    }

    pub(crate) fn namespaced(&self, node: NodeId) {
        self.0.borrow_mut().entry(node).or_default().namespaced = true;
    }

    /// What was left unread, in document order; a name that looks like a slip is an error.
    pub(crate) fn unread(&self, document: &Document) -> Result<Vec<Unmodelled>, XmlError> {
        let all = self.0.borrow();
        let mut unmodelled = Vec::new();
        for (node, asked) in all.iter() {
            unread_attributes(document, *node, asked, &mut unmodelled)?;
            unread_children(document, *node, &all, &mut unmodelled)?;
            if unmodelled.len() >= MAX_UNMODELLED {
                break;
            }
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
        // A second element where one was read has its name asked for, but was not looked at itself.
        let read = asked.children.contains(name) && all.contains_key(&child);
        let namespaced = all.get(&child).is_some_and(|asked| asked.namespaced);
        if read || namespaced || asked.kept.contains(name) {
            continue;
        }
        if unmodelled.len() >= MAX_UNMODELLED {
            return Ok(());
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
    if asked.contains(name) || KNOWN_UNREAD.contains(&name) || name.contains(':') {
        return None;
    }
    nearest(name, asked.iter().copied())
}
