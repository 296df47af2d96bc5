//! A document that loses nothing: what is not edited is written back byte for byte.

mod edit;
mod parse;
mod tag;
mod text;
mod write;

pub use text::{escape_attribute, escape_text};

use crate::error::{Position, XmlError};

/// Largest document, in bytes: the same bound that libvirt's RPC puts on a string.
pub const MAX_DOCUMENT_BYTES: usize = 4 * 1024 * 1024;
/// Deepest nesting of elements; code that walks a document may recurse this far.
pub const MAX_DEPTH: usize = 64;
/// Most nodes (elements, texts, comments...) in a document.
pub const MAX_NODES: usize = 100_000;
/// Most attributes of one element.
pub const MAX_ATTRIBUTES: usize = 256;

/// A node of one [`Document`]; stays valid through edits of that document, means nothing to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

impl NodeId {
    /// The node above the root element; holds the prolog, the root and what follows it.
    const TOP: Self = Self(0);

    fn index(self) -> usize {
        self.0 as usize
    }
}

/// An attribute: its decoded value for reading, its verbatim text for writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// The name with its prefix, if any.
    pub name: String,
    /// The value, with references replaced.
    pub value: String,
    /// White space, name, equals sign, quotes and value as they stand in the document.
    verbatim: String,
    /// Where the name begins.
    pub position: Position,
}

#[derive(Debug, Clone)]
struct Tag {
    name: String,
    attributes: Vec<Attribute>,
    /// White space between the last attribute and `>` or `/>`.
    space: String,
    children: Vec<NodeId>,
    /// The end tag as it stands; `None` for `<name/>`.
    end: Option<String>,
}

#[derive(Debug, Clone)]
enum Content {
    Element(Tag),
    /// Text or CDATA: what is written and what it means.
    Text {
        verbatim: String,
        value: String,
    },
    /// Comment, processing instruction or XML declaration.
    Other(String),
}

#[derive(Debug, Clone)]
struct Node {
    parent: NodeId,
    position: Position,
    content: Content,
}

/// An XML document as an arena of nodes.
#[derive(Debug, Clone)]
pub struct Document {
    nodes: Vec<Node>,
    root: NodeId,
    byte_order_mark: bool,
}

impl Document {
    /// Parses a document.
    ///
    /// # Errors
    /// Text that is not well-formed, carries a document type, or exceeds a limit of this module.
    pub fn parse(text: &str) -> Result<Self, XmlError> {
        parse::parse(text)
    }

    /// A document of nothing, which stands in while a projection is being made.
    pub(crate) fn placeholder() -> Self {
        Self { nodes: Vec::new(), root: NodeId::TOP, byte_order_mark: false }
    }

    /// The root element.
    pub fn root(&self) -> NodeId {
        self.root
    }

    fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id.index())
    }

    fn tag(&self, id: NodeId) -> Option<&Tag> {
        match self.node(id) {
            Some(Node { content: Content::Element(tag), .. }) => Some(tag),
            _ => None,
        }
    }

    /// The name of an element with its prefix; empty for a node that is not an element.
    pub fn name(&self, id: NodeId) -> &str {
        self.tag(id).map_or("", |tag| &tag.name)
    }

    /// The name of an element without its prefix.
    pub fn local_name(&self, id: NodeId) -> &str {
        let name = self.name(id);
        name.split_once(':').map_or(name, |(_, local)| local)
    }

    /// The namespace URI of an element, from the nearest declaration above it.
    pub fn namespace(&self, id: NodeId) -> Option<&str> {
        let prefix = self.name(id).split_once(':').map_or("", |(prefix, _)| prefix);
        self.resolve_prefix(id, prefix)
    }

    /// The URI that `prefix` stands for at an element; the empty prefix is the default namespace.
    pub fn resolve_prefix(&self, id: NodeId, prefix: &str) -> Option<&str> {
        let wanted = if prefix.is_empty() { "xmlns".to_owned() } else { format!("xmlns:{prefix}") };
        let mut at = id;
        while at != NodeId::TOP {
            if let Some(uri) = self.attribute(at, &wanted) {
                return Some(uri).filter(|uri| !uri.is_empty());
            }
            at = self.node(at)?.parent;
        }
        None
    }

    /// Where a node begins. After an edit, call [`Document::locate`] first.
    pub fn position(&self, id: NodeId) -> Position {
        self.node(id).map_or(Position::START, |node| node.position)
    }

    /// The parent element; `None` for the root.
    pub fn parent(&self, id: NodeId) -> Option<NodeId> {
        self.node(id).map(|node| node.parent).filter(|parent| *parent != NodeId::TOP)
    }

    /// The attributes of an element, in document order.
    pub fn attributes(&self, id: NodeId) -> &[Attribute] {
        self.tag(id).map_or(&[], |tag| &tag.attributes)
    }

    /// The decoded value of an attribute.
    pub fn attribute(&self, id: NodeId, name: &str) -> Option<&str> {
        self.attributes(id).iter().find(|attribute| attribute.name == name).map(|found| found.value.as_str())
    }

    fn nodes_of(&self, id: NodeId) -> &[NodeId] {
        self.tag(id).map_or(&[], |tag| &tag.children)
    }

    /// The child elements, in document order.
    pub fn elements(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.nodes_of(id).iter().copied().filter(|child| self.tag(*child).is_some())
    }

    /// The first child element of this name.
    pub fn child(&self, id: NodeId, name: &str) -> Option<NodeId> {
        self.elements(id).find(|child| self.name(*child) == name)
    }

    /// The decoded text directly inside an element (not inside its children).
    pub fn text(&self, id: NodeId) -> String {
        let mut text = String::new();
        for child in self.nodes_of(id) {
            if let Some(Node { content: Content::Text { value, .. }, .. }) = self.node(*child) {
                text.push_str(value);
            }
        }
        text
    }

    /// The path of an element, such as `domain/devices/disk[2]`; the number tells same-named siblings apart.
    pub fn path(&self, id: NodeId) -> String {
        let mut steps = Vec::new();
        let mut at = Some(id);
        while let Some(node) = at {
            steps.push(self.step(node));
            at = self.parent(node);
        }
        steps.reverse();
        steps.join("/")
    }

    fn step(&self, id: NodeId) -> String {
        let name = self.name(id);
        let Some(parent) = self.parent(id) else { return name.to_owned() };
        let same = || self.elements(parent).filter(|sibling| self.name(*sibling) == name);
        match (same().count(), same().position(|sibling| sibling == id)) {
            (2.., Some(place)) => format!("{name}[{}]", place + 1),
            _ => name.to_owned(),
        }
    }

    /// How many elements lie from the root to this one, both counted.
    fn depth(&self, id: NodeId) -> usize {
        std::iter::successors(Some(id), |at| self.parent(*at)).count()
    }
}

#[cfg(test)]
mod tests;
