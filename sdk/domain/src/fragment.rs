//! Writing new elements.

use std::fmt::Display;

use crate::document::{escape_attribute, escape_text};

/// A new element under construction; values are escaped, names are the caller's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    name: String,
    attributes: Vec<(String, String)>,
    text: Option<String>,
    children: Vec<Fragment>,
}

impl Fragment {
    /// An empty element.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), attributes: Vec::new(), text: None, children: Vec::new() }
    }

    /// Adds an attribute.
    #[must_use]
    pub fn attribute(mut self, name: &str, value: impl Display) -> Self {
        self.attributes.push((name.to_owned(), value.to_string()));
        self
    }

    /// Adds an attribute when there is a value for it.
    #[must_use]
    pub fn maybe_attribute(self, name: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.attribute(name, value),
            None => self,
        }
    }

    /// Adds a child element; an element has either children or text.
    #[must_use]
    pub fn child(mut self, child: Self) -> Self {
        self.children.push(child);
        self
    }

    /// Adds a child element when there is one.
    #[must_use]
    pub fn maybe_child(self, child: Option<Self>) -> Self {
        match child {
            Some(child) => self.child(child),
            None => self,
        }
    }

    /// Sets the text.
    #[must_use]
    pub fn text(mut self, text: impl Display) -> Self {
        self.text = Some(text.to_string());
        self
    }

    /// The element as text, children on their own lines and indented by two spaces.
    pub fn to_xml(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, 0);
        out
    }

    fn write(&self, out: &mut String, depth: usize) {
        out.push('<');
        out.push_str(&self.name);
        for (name, value) in &self.attributes {
            out.push_str(&format!(" {name}='{}'", escape_attribute(value)));
        }
        if self.text.is_none() && self.children.is_empty() {
            out.push_str("/>");
            return;
        }
        out.push('>');
        if let Some(text) = &self.text {
            out.push_str(&escape_text(text));
        }
        for child in &self.children {
            new_line(out, depth + 1);
            child.write(out, depth + 1);
        }
        if !self.children.is_empty() {
            new_line(out, depth);
        }
        out.push_str(&format!("</{}>", self.name));
    }
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.push_str(&"  ".repeat(depth));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_and_children_indented() {
        let built = Fragment::new("a").attribute("b", "x'<&").child(Fragment::new("c").text("1 < 2"));
        assert_eq!(built.to_xml(), "<a b='x&apos;&lt;&amp;'>\n  <c>1 &lt; 2</c>\n</a>");
    }
}
