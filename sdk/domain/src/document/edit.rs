//! Edits that leave everything else as it stands. Nodes that an edit removes or replaces keep their ids and
//! their place in the arena, so that no id ever comes to mean another node.

use super::tag::is_name;
use super::text::is_allowed;
use super::{
    Attribute, Content, Document, MAX_ATTRIBUTES, MAX_DEPTH, MAX_NODES, Node, NodeId, Tag, escape_attribute,
    escape_text,
};
use crate::error::{XmlError, XmlErrorKind};

/// How much deeper than its parent an element stands when no sibling shows it.
const INDENT: &str = "  ";

impl Document {
    pub(super) fn allocate(&mut self, node: Node) -> Option<NodeId> {
        let id = u32::try_from(self.nodes.len()).ok().filter(|_| self.nodes.len() <= MAX_NODES)?;
        self.nodes.push(node);
        Some(NodeId(id))
    }

    pub(super) fn tag_mut(&mut self, id: NodeId) -> Option<&mut Tag> {
        match self.nodes.get_mut(id.index()) {
            Some(Node { content: Content::Element(tag), .. }) => Some(tag),
            _ => None,
        }
    }

    fn edit_error(&self, id: NodeId, kind: XmlErrorKind, message: impl Into<String>) -> XmlError {
        XmlError::new(kind, self.position(id), message).at_path(self.path(id))
    }

    fn element_mut(&mut self, id: NodeId) -> Result<&mut Tag, XmlError> {
        if id == NodeId::TOP || self.tag(id).is_none() {
            return Err(self.edit_error(id, XmlErrorKind::Edit, "the node is not an element"));
        }
        let error = self.edit_error(id, XmlErrorKind::Edit, "the node is not an element");
        self.tag_mut(id).ok_or(error)
    }

    /// Sets an attribute: in place when it is there, else as the last one.
    ///
    /// # Errors
    /// The node is no element, the name is no name, the value has a character that XML cannot carry, or the
    /// element has too many attributes.
    pub fn set_attribute(&mut self, id: NodeId, name: &str, value: &str) -> Result<(), XmlError> {
        if !is_name(name) {
            return Err(self.edit_error(
                id,
                XmlErrorKind::Edit,
                format!("'{name}' is not an attribute name"),
            ));
        }
        self.check_value(id, value)?;
        let position = self.position(id);
        let count = self.attributes(id).len();
        let tag = self.element_mut(id)?;
        let written = escape_attribute(value);
        if let Some(attribute) = tag.attributes.iter_mut().find(|attribute| attribute.name == name) {
            if attribute.value != value {
                attribute.verbatim = replace_value(&attribute.verbatim, &written);
                value.clone_into(&mut attribute.value);
            }
            return Ok(());
        }
        if count >= MAX_ATTRIBUTES {
            let message = format!("the element would have more than {MAX_ATTRIBUTES} attributes");
            return Err(self.edit_error(id, XmlErrorKind::Limit, message));
        }
        tag.attributes.push(Attribute {
            name: name.to_owned(),
            value: value.to_owned(),
            verbatim: format!(" {name}='{written}'"),
            position,
        });
        Ok(())
    }

    fn check_value(&self, id: NodeId, value: &str) -> Result<(), XmlError> {
        match value.chars().find(|character| !is_allowed(*character)) {
            None => Ok(()),
            Some(bad) => {
                let message = format!("character U+{:04X} cannot stand in a document", u32::from(bad));
                Err(self.edit_error(id, XmlErrorKind::InvalidValue, message))
            }
        }
    }

    /// Removes an attribute; says whether it was there.
    ///
    /// # Errors
    /// The node is no element.
    pub fn remove_attribute(&mut self, id: NodeId, name: &str) -> Result<bool, XmlError> {
        let tag = self.element_mut(id)?;
        let before = tag.attributes.len();
        tag.attributes.retain(|attribute| attribute.name != name);
        Ok(tag.attributes.len() != before)
    }

    /// Replaces everything inside an element by a text.
    ///
    /// # Errors
    /// The node is no element, the text has a character that XML cannot carry, or there are too many nodes.
    pub fn set_text(&mut self, id: NodeId, text: &str) -> Result<(), XmlError> {
        self.element_mut(id)?;
        self.check_value(id, text)?;
        let content = Content::Text { verbatim: escape_text(text), value: text.to_owned() };
        let node = self.new_node(id, content)?;
        self.open_up(id);
        if let Some(tag) = self.tag_mut(id) {
            tag.children = vec![node];
        }
        Ok(())
    }

    /// Parses `fragment` (one element) and makes it the last child, indented like its siblings.
    ///
    /// # Errors
    /// The fragment is not well-formed, the node is no element, or a limit is exceeded.
    pub fn append_child(&mut self, parent: NodeId, fragment: &str) -> Result<NodeId, XmlError> {
        let indent = self.child_indent(parent);
        let first = self.elements(parent).next().is_none();
        let child = self.graft(parent, fragment, indent.as_deref())?;
        self.open_up(parent);
        let closing = self.nodes_of(parent).last().copied().filter(|last| self.is_blank(*last));
        let place = self.nodes_of(parent).len() - usize::from(closing.is_some());
        let mut added = Vec::new();
        if let Some(indent) = &indent {
            added.push(self.blank(parent, format!("\n{indent}"))?);
        }
        added.push(child);
        if first && indent.is_some() && closing.is_none() {
            let outer = self.indent_of(parent).unwrap_or_default();
            added.push(self.blank(parent, format!("\n{outer}"))?);
        }
        self.splice(parent, place, added);
        Ok(child)
    }

    /// Parses `fragment` (one element) and puts it before `sibling`, indented like it.
    ///
    /// # Errors
    /// As [`Document::append_child`]; also when `sibling` is the root element.
    pub fn insert_before(&mut self, sibling: NodeId, fragment: &str) -> Result<NodeId, XmlError> {
        let parent = self.parent(sibling);
        let place = parent.and_then(|parent| self.nodes_of(parent).iter().position(|node| *node == sibling));
        let (Some(parent), Some(place)) = (parent, place) else {
            return Err(self.edit_error(sibling, XmlErrorKind::Edit, "nothing can stand before this node"));
        };
        let indent = self.indent_of(sibling);
        let child = self.graft(parent, fragment, indent.as_deref())?;
        let mut added = vec![child];
        if let Some(indent) = indent {
            added.push(self.blank(parent, format!("\n{indent}"))?);
        }
        self.splice(parent, place, added);
        Ok(child)
    }

    /// Removes a node with everything in it, and the white space before it.
    ///
    /// # Errors
    /// The node is the root element or is not in the document.
    pub fn remove(&mut self, id: NodeId) -> Result<(), XmlError> {
        let parent = self.parent(id);
        let place = parent.and_then(|parent| self.nodes_of(parent).iter().position(|node| *node == id));
        let (Some(parent), Some(place)) = (parent, place) else {
            return Err(self.edit_error(id, XmlErrorKind::Edit, "the node cannot be removed"));
        };
        let before = place.checked_sub(1).and_then(|before| self.nodes_of(parent).get(before)).copied();
        let from = if before.is_some_and(|before| self.is_blank(before)) { place - 1 } else { place };
        let left = self.nodes_of(parent).len() - (place + 1 - from);
        // White space alone is no content: an element that lost its last child is empty again.
        let empty = left == 1 && self.nodes_of(parent).last().is_some_and(|last| self.is_blank(*last));
        if let Some(tag) = self.tag_mut(parent) {
            tag.children.drain(from..=place);
            if empty {
                tag.children.clear();
            }
        }
        Ok(())
    }

    /// Turns `<name/>` into `<name></name>` so that it can have children.
    fn open_up(&mut self, id: NodeId) {
        if let Some(tag) = self.tag_mut(id).filter(|tag| tag.end.is_none()) {
            tag.space.clear();
            tag.end = Some(format!("</{}>", tag.name));
        }
    }

    fn splice(&mut self, parent: NodeId, place: usize, added: Vec<NodeId>) {
        if let Some(tag) = self.tag_mut(parent) {
            tag.children.splice(place..place, added);
        }
    }

    fn new_node(&mut self, parent: NodeId, content: Content) -> Result<NodeId, XmlError> {
        let position = self.position(parent);
        self.allocate(Node { parent, position, content }).ok_or_else(|| {
            self.edit_error(
                parent,
                XmlErrorKind::Limit,
                format!("the document has more than {MAX_NODES} nodes"),
            )
        })
    }

    fn blank(&mut self, parent: NodeId, text: String) -> Result<NodeId, XmlError> {
        self.new_node(parent, Content::Text { verbatim: text.clone(), value: text })
    }

    fn is_blank(&self, id: NodeId) -> bool {
        let text = self.node(id).map(|node| &node.content);
        matches!(text, Some(Content::Text { verbatim, .. }) if verbatim.bytes().all(|b| b.is_ascii_whitespace()))
    }

    /// The white space between the line begin and a node; `None` when other things stand before it.
    fn indent_of(&self, id: NodeId) -> Option<String> {
        let Some(parent) = self.parent(id) else { return Some(String::new()) };
        let siblings = self.nodes_of(parent);
        let place = siblings.iter().position(|node| *node == id)?;
        let before = siblings.get(place.checked_sub(1)?).filter(|before| self.is_blank(**before))?;
        match &self.node(*before)?.content {
            Content::Text { value, .. } => value.rsplit_once('\n').map(|(_, indent)| indent.to_owned()),
            _ => None,
        }
    }

    /// How a new last child is to be indented; `None` when children share a line.
    fn child_indent(&self, parent: NodeId) -> Option<String> {
        if let Some(last) = self.elements(parent).last() {
            return self.indent_of(last);
        }
        if self.nodes_of(parent).iter().any(|child| !self.is_blank(*child)) {
            return None;
        }
        self.indent_of(parent).map(|indent| indent + INDENT)
    }

    /// Copies a parsed fragment into the arena below `parent`, without linking it there.
    fn graft(&mut self, parent: NodeId, fragment: &str, indent: Option<&str>) -> Result<NodeId, XmlError> {
        let part = Self::parse(fragment)?;
        self.element_mut(parent)?;
        let depth = self.depth(parent) + part.tree_depth(part.root);
        if depth > MAX_DEPTH {
            let message = format!("elements would be nested deeper than {MAX_DEPTH}");
            return Err(self.edit_error(parent, XmlErrorKind::Limit, message));
        }
        self.graft_node(parent, &part, part.root, indent)
    }

    fn tree_depth(&self, id: NodeId) -> usize {
        1 + self.elements(id).map(|child| self.tree_depth(child)).max().unwrap_or(0)
    }

    fn graft_node(
        &mut self,
        parent: NodeId,
        part: &Self,
        id: NodeId,
        indent: Option<&str>,
    ) -> Result<NodeId, XmlError> {
        let Some(node) = part.node(id) else {
            return Err(self.edit_error(parent, XmlErrorKind::Edit, "the fragment has no such node"));
        };
        let content = match (&node.content, indent) {
            (Content::Element(tag), _) => Content::Element(Tag { children: Vec::new(), ..tag.clone() }),
            (Content::Text { verbatim, .. }, Some(indent)) if part.is_blank(id) => {
                let text = verbatim.replace('\n', &format!("\n{indent}"));
                Content::Text { verbatim: text.clone(), value: text }
            }
            (other, _) => other.clone(),
        };
        let copy = self.new_node(parent, content)?;
        for child in part.nodes_of(id) {
            let child = self.graft_node(copy, part, *child, indent)?;
            if let Some(tag) = self.tag_mut(copy) {
                tag.children.push(child);
            }
        }
        Ok(copy)
    }
}

/// The same attribute text with another value; the quotes and white space stay.
fn replace_value(verbatim: &str, written: &str) -> String {
    let quote = if verbatim.ends_with('"') { '"' } else { '\'' };
    let before = verbatim.split(quote).next().unwrap_or(verbatim);
    format!("{before}{quote}{written}{quote}")
}
