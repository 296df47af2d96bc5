//! `<secret>`: what a secret is for. What it is, is in no document.

use crate::document::Document;
use crate::error::{XmlError, XmlErrorKind};
use crate::fragment::Fragment;
use crate::identity::DomainUuid;
use crate::read::Element;
use crate::trace::{Trace, Unmodelled};

keywords! {
    /// What a secret is used for.
    SecretUsageType {
        None = "none", Volume = "volume", Ceph = "ceph", Iscsi = "iscsi", Tls = "tls", Vtpm = "vtpm",
    }
}

/// A secret: a document, and what it says.
#[derive(Debug, Clone)]
pub struct Secret {
    document: Document,
    /// Its UUID; none when still to be chosen.
    pub uuid: Option<DomainUuid>,
    /// Whether it is kept in memory alone.
    pub ephemeral: bool,
    /// Whether its value is told to nobody once it is set.
    pub private: bool,
    /// What it is used for.
    pub usage: SecretUsage,
    /// What people say of it.
    pub description: Option<String>,
    unmodelled: Vec<Unmodelled>,
}

/// `<usage>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretUsage {
    /// The kind of use.
    pub kind: SecretUsageType,
    /// What of that kind uses it; empty for one without use.
    pub id: String,
}

impl SecretUsageType {
    /// The element that names what uses the secret.
    fn element(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Volume => Some("volume"),
            Self::Iscsi => Some("target"),
            Self::Ceph | Self::Tls | Self::Vtpm => Some("name"),
        }
    }
}

impl Secret {
    /// Parses a secret document.
    ///
    /// # Errors
    /// The text is not well-formed, exceeds a limit, is no secret, or has its value in it.
    pub fn parse(text: &str) -> Result<Self, XmlError> {
        let document = Document::parse(text)?;
        let trace = Trace::default();
        let root = Element::new(&document, &trace, document.root());
        root.require_root("secret")?;
        let read = read(root)?;
        let unmodelled = trace.unread(&document)?;
        Ok(Self { document, unmodelled, ..read })
    }

    /// The document as text; byte for byte what was parsed, apart from edits.
    pub fn to_xml(&self) -> String {
        self.document.to_xml()
    }

    /// What the model does not read, in document order: kept verbatim, and of no effect.
    pub fn unmodelled(&self) -> &[Unmodelled] {
        &self.unmodelled
    }

    /// Sets the UUID, and makes what goes without saying explicit.
    ///
    /// # Errors
    /// A limit of the document is exceeded.
    pub fn set_uuid(&mut self, uuid: &DomainUuid) -> Result<(), XmlError> {
        self.uuid = Some(*uuid);
        let root = self.document.root();
        for (name, is) in [("ephemeral", self.ephemeral), ("private", self.private)] {
            self.document.set_attribute(root, name, if is { "yes" } else { "no" })?;
        }
        if let Some(node) = self.document.child(root, "uuid") {
            return self.document.set_text(node, &uuid.to_string());
        }
        let element = Fragment::new("uuid").text(uuid).to_xml();
        let first = self.document.elements(root).next();
        match first {
            Some(first) => self.document.insert_before(first, &element),
            None => self.document.append_child(root, &element),
        }
        .map(drop)
    }
}

fn read(root: Element<'_>) -> Result<Secret, XmlError> {
    Ok(Secret {
        document: Document::placeholder(),
        uuid: root.maybe("uuid", |uuid| {
            DomainUuid::parse(&uuid.word()).map_err(|wrong| {
                uuid.error(XmlErrorKind::InvalidValue, format!("the text of 'uuid' {wrong}"))
            })
        })?,
        ephemeral: root.yes_no("ephemeral")?.unwrap_or(false),
        private: root.yes_no("private")?.unwrap_or(false),
        usage: root
            .maybe("usage", read_usage)?
            .unwrap_or(SecretUsage { kind: SecretUsageType::None, id: String::new() }),
        description: root.text_of("description"),
        unmodelled: Vec::new(),
    })
}

fn read_usage(usage: Element<'_>) -> Result<SecretUsage, XmlError> {
    let kind = usage.need_keyword::<SecretUsageType>("type")?;
    let Some(name) = kind.element() else { return Ok(SecretUsage { kind, id: String::new() }) };
    let named = usage.need_child(name)?;
    let id = named.content().trim().to_owned();
    if id.is_empty() {
        let message = format!("'{name}' is empty, and says what uses the secret");
        return Err(named.error(XmlErrorKind::InvalidValue, message));
    }
    Ok(SecretUsage { kind, id })
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "0a81f5b2-8403-7b23-c8d6-21ccc2f80d6f";

    #[test]
    fn secret_says_what_it_is_for() {
        let xml = format!(
            "<secret ephemeral='no' private='yes'><uuid>{UUID}</uuid><description>a b</description>\
             <usage type='volume'><volume>/var/x.img</volume></usage></secret>"
        );
        let secret = Secret::parse(&xml).unwrap();
        assert_eq!((secret.private, secret.ephemeral, secret.usage.id.as_str()), (true, false, "/var/x.img"));
        assert_eq!(
            (secret.usage.kind, secret.description.as_deref()),
            (SecretUsageType::Volume, Some("a b"))
        );
        assert_eq!(secret.to_xml(), xml);
        for (kind, element) in [("ceph", "name"), ("iscsi", "target"), ("tls", "name"), ("vtpm", "name")] {
            let xml = format!("<secret><usage type='{kind}'><{element}>x</{element}></usage></secret>");
            assert_eq!(Secret::parse(&xml).unwrap().usage.id, "x");
        }
        assert_eq!(Secret::parse("<secret/>").unwrap().usage.kind, SecretUsageType::None);
    }

    #[test]
    fn what_it_does_not_say_is_written_down() {
        let mut secret =
            Secret::parse("<secret private='yes'><description>d</description></secret>").unwrap();
        secret.set_uuid(&DomainUuid::parse(UUID).unwrap()).unwrap();
        let again = Secret::parse(&secret.to_xml()).unwrap();
        assert_eq!(again.uuid.unwrap().to_string(), UUID);
        assert!(secret.to_xml().contains("ephemeral='no'"), "{}", secret.to_xml());
    }

    #[test]
    fn what_is_no_secret_is_refused_with_its_place() {
        for (xml, at) in [
            ("<domain/>", "domain"),
            ("<secret private='perhaps'/>", "private"),
            ("<secret><usage type='volume'/></secret>", "volume"),
            ("<secret><usage type='x'><name>a</name></usage></secret>", "type"),
            ("<secret><usage type='tls'><name> </name></usage></secret>", "name"),
            ("<secret><uuid>1</uuid></secret>", "uuid"),
        ] {
            let error = Secret::parse(xml).unwrap_err();
            assert!(error.to_string().contains(at), "{xml}: {error}");
        }
    }
}
