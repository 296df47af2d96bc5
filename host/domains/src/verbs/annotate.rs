//! `annotate`: what people and programs note down about a domain, in its document. No hypervisor has a part in it.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use hostler_domain::{Document, Domain, NodeId};
use hostler_state::unix_ms;

use crate::error::{Error, Kind};
use crate::host::Host;
use crate::reference::DomainRef;
use crate::verbs::Scope;

/// What is noted down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A short line, in `<title>`.
    Title,
    /// A longer text, in `<description>`.
    Description,
    /// An element of a program's own beneath `<metadata>`, found by its namespace.
    Element {
        /// The namespace.
        uri: String,
    },
}

impl Note {
    fn word(&self) -> &'static str {
        match self {
            Self::Title => "title",
            Self::Description => "description",
            Self::Element { .. } => "metadata",
        }
    }
}

impl Host {
    /// Notes something down, or forgets it when there is nothing to note: a text, or an element as XML, which gets the
    /// namespace under the prefix that is given with it. Where a domain runs and is defined, `scope` says where.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::Conflict`] when it does not run and what runs is meant; [`Kind::Invalid`] for what is no
    /// such text or element.
    pub async fn annotate(
        &self,
        wanted: &DomainRef,
        note: &Note,
        (content, prefix): (Option<&str>, Option<&str>),
        scope: Scope,
    ) -> Result<(), Error> {
        let mut definition = self.find(wanted)?;
        if scope.live {
            let next = self.next_by(&definition, |xml| noted(xml, note, content, prefix))?;
            self.replace_run_document(&definition, &next)?;
        }
        if scope.config {
            let _alone = self.naming.lock().unwrap_or_else(PoisonError::into_inner);
            definition.xml = noted(&definition.xml, note, content, prefix)?;
            definition.generation += 1;
            definition.changed_unix_ms = unix_ms();
            self.owner()?.put_definition(&definition)?;
        }
        let mut detail = BTreeMap::from([("what".to_owned(), note.word().to_owned())]);
        if let Note::Element { uri } = note {
            detail.insert("uri".to_owned(), uri.clone());
        }
        self.tell_with(&definition, "annotated", detail);
        Ok(())
    }

    /// What is noted down in a document; nothing when nothing is.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for what is no document.
    pub fn annotation(xml: &str, note: &Note) -> Result<Option<String>, Error> {
        let mut document = Document::parse(xml)?;
        let Some(node) = place(&document, note) else { return Ok(None) };
        if !matches!(note, Note::Element { .. }) {
            return Ok(Some(document.text(node)));
        }
        let Some((prefix, name)) = document.name(node).split_once(':') else {
            return Ok(Some(document.node_to_xml(node)));
        };
        // Without the prefix that it was given.
        let (prefix, name) = (prefix.to_owned(), name.to_owned());
        document.remove_attribute(node, &format!("xmlns:{prefix}"))?;
        Ok(Some(renamed(&document.node_to_xml(node), &format!("{prefix}:{name}"), &name)))
    }
}

/// The element that holds a note.
fn place(document: &Document, note: &Note) -> Option<NodeId> {
    let own = document.child(document.root(), note.word())?;
    match note {
        Note::Element { uri } => {
            document.elements(own).find(|node| document.namespace(*node) == Some(uri.as_str()))
        }
        _ => Some(own),
    }
}

fn noted(xml: &str, note: &Note, content: Option<&str>, prefix: Option<&str>) -> Result<String, Error> {
    // Read as whoever comes next will read it.
    Ok(Domain::parse(&written_down(xml, note, content, prefix)?)?.to_xml())
}

/// A document of any kind with a note, or without.
pub(super) fn written_down(
    xml: &str,
    note: &Note,
    content: Option<&str>,
    prefix: Option<&str>,
) -> Result<String, Error> {
    let mut document = Document::parse(xml)?;
    if let Some(old) = place(&document, note) {
        document.remove(old)?;
    }
    if let Some(content) = content {
        let element = match note {
            Note::Element { uri } => element(content, uri, prefix)?,
            _ => hostler_domain::Fragment::new(note.word()).text(content).to_xml(),
        };
        let root = document.root();
        let parent = match (note, document.child(root, note.word())) {
            (Note::Element { .. }, Some(metadata)) => metadata,
            (Note::Element { .. }, None) => document.append_child(root, "<metadata/>")?,
            _ => root,
        };
        document.append_child(parent, &element)?;
    }
    Ok(document.to_xml())
}

/// An element of a program's own, in its namespace.
fn element(content: &str, uri: &str, prefix: Option<&str>) -> Result<String, Error> {
    let prefix = prefix.filter(|prefix| is_prefix(prefix)).ok_or_else(|| {
        Error::new(
            Kind::Invalid,
            "metadata.prefix",
            "an element needs a prefix for its namespace, such as 'app'",
        )
    })?;
    let mut document = Document::parse(content)?;
    let root = document.root();
    document.set_attribute(root, &format!("xmlns:{prefix}"), uri)?;
    let named = format!("{prefix}:{}", document.local_name(root));
    Ok(renamed(&document.node_to_xml(root), document.name(root), &named))
}

fn is_prefix(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next().is_some_and(|first| first.is_ascii_alphabetic())
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_')
}

/// An element under another name.
fn renamed(xml: &str, from: &str, to: &str) -> String {
    let xml = xml.trim();
    let begun = xml.strip_prefix('<').and_then(|rest| rest.strip_prefix(from)).unwrap_or(xml);
    let end = format!("</{from}>");
    match begun.strip_suffix(end.as_str()) {
        Some(inside) => format!("<{to}{inside}</{to}>"),
        None => format!("<{to}{begun}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const XML: &str = "<domain type='test'>\n  <name>a</name>\n  <memory>1024</memory>\n  \
                       <os><type>hvm</type></os>\n</domain>";

    #[test]
    fn texts_are_noted_changed_and_forgotten() {
        for note in [Note::Title, Note::Description] {
            let once = noted(XML, &note, Some("a < b"), None).unwrap();
            let twice = noted(&once, &note, Some("c"), None).unwrap();
            assert_eq!(Host::annotation(&once, &note).unwrap().as_deref(), Some("a < b"));
            assert_eq!(Host::annotation(&twice, &note).unwrap().as_deref(), Some("c"));
            let gone = noted(&twice, &note, None, None).unwrap();
            assert_eq!(Host::annotation(&gone, &note).unwrap(), None);
        }
    }

    #[test]
    fn elements_are_found_by_their_namespace_and_come_back_as_they_were_given() {
        let note = |uri: &str| Note::Element { uri: uri.to_owned() };
        let first = noted(XML, &note("urn:a"), Some("<x y='1'><z/></x>"), Some("a")).unwrap();
        let both = noted(&first, &note("urn:b"), Some("<x/>"), Some("b")).unwrap();
        assert!(both.contains("<a:x y='1' xmlns:a=") && both.contains("</a:x>"), "{both}");
        assert_eq!(Host::annotation(&both, &note("urn:a")).unwrap().as_deref(), Some("<x y='1'><z/></x>"));
        assert_eq!(Host::annotation(&both, &note("urn:b")).unwrap().as_deref(), Some("<x/>"));
        let without = noted(&both, &note("urn:a"), None, None).unwrap();
        assert_eq!(Host::annotation(&without, &note("urn:a")).unwrap(), None);
        assert!(Host::annotation(&without, &note("urn:b")).unwrap().is_some());
    }

    #[test]
    fn what_is_no_element_or_has_no_prefix_is_refused() {
        let note = Note::Element { uri: "urn:a".to_owned() };
        assert!(noted(XML, &note, Some("<x"), Some("a")).is_err());
        for prefix in [None, Some(""), Some("1"), Some("a b")] {
            assert_eq!(noted(XML, &note, Some("<x/>"), prefix).unwrap_err().code(), "metadata.prefix");
        }
    }
}
