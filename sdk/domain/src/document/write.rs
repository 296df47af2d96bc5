//! From nodes back to text, and the positions that go with it.

use super::{Content, Document, NodeId, Tag};
use crate::error::Position;

impl Document {
    /// The document as text; byte for byte what was parsed, apart from edits.
    pub fn to_xml(&self) -> String {
        let mut out = String::new();
        if self.byte_order_mark {
            out.push('\u{FEFF}');
        }
        for child in self.nodes_of(NodeId::TOP) {
            self.write(*child, &mut out);
        }
        out
    }

    /// One node with everything in it, as text.
    pub fn node_to_xml(&self, id: NodeId) -> String {
        let mut out = String::new();
        self.write(id, &mut out);
        out
    }

    // Recursion is bounded by MAX_DEPTH, which parsing and editing both keep.
    fn write(&self, id: NodeId, out: &mut String) {
        match self.node(id).map(|node| &node.content) {
            Some(Content::Element(tag)) => {
                write_start(tag, out);
                for child in &tag.children {
                    self.write(*child, out);
                }
                out.push_str(tag.end.as_deref().unwrap_or(""));
            }
            Some(Content::Text { verbatim, .. } | Content::Other(verbatim)) => out.push_str(verbatim),
            None => {}
        }
    }

    /// Computes the positions of all nodes anew; needed after an edit before positions are shown.
    pub fn locate(&mut self) {
        let mut at = Position::START;
        for child in self.nodes_of(NodeId::TOP).to_vec() {
            at = self.locate_node(child, at);
        }
    }

    fn locate_node(&mut self, id: NodeId, begin: Position) -> Position {
        let Some(node) = self.nodes.get_mut(id.index()) else { return begin };
        node.position = begin;
        let (children, mut at) = match &mut node.content {
            Content::Text { verbatim, .. } | Content::Other(verbatim) => return begin.after(verbatim),
            Content::Element(tag) => (tag.children.clone(), locate_tag(tag, begin)),
        };
        for child in children {
            at = self.locate_node(child, at);
        }
        let end = self.tag(id).and_then(|tag| tag.end.as_deref()).unwrap_or("");
        at.after(end)
    }
}

fn write_start(tag: &Tag, out: &mut String) {
    out.push('<');
    out.push_str(&tag.name);
    for attribute in &tag.attributes {
        out.push_str(&attribute.verbatim);
    }
    out.push_str(&tag.space);
    out.push_str(if tag.end.is_some() { ">" } else { "/>" });
}

fn locate_tag(tag: &mut Tag, begin: Position) -> Position {
    let mut at = begin.after("<").after(&tag.name);
    for attribute in &mut tag.attributes {
        let space = attribute.verbatim.len() - attribute.verbatim.trim_start().len();
        attribute.position = at.after(attribute.verbatim.get(..space).unwrap_or(""));
        at = at.after(&attribute.verbatim);
    }
    at = at.after(&tag.space);
    at.after(if tag.end.is_some() { ">" } else { "/>" })
}
