//! `<privateData>` of a source: how it is open in a running domain.

use crate::error::XmlError;
use crate::read::Element;

/// Names that a running domain's source has in its hypervisor; none where the document is silent.
///
/// Only a document of a running domain carries them. A definition that does is not believed: whoever starts a
/// domain gives names of its own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SourceStatus {
    /// The node that holds the bytes.
    pub storage_node: Option<String>,
    /// The node of the window into them.
    pub slice_node: Option<String>,
    /// The node that reads the format.
    pub format_node: Option<String>,
    /// The object with the password for the server.
    pub server_secret: Option<String>,
    /// The objects with the keys of the content.
    pub content_secrets: Vec<String>,
    /// The object with the cookies.
    pub cookie_secret: Option<String>,
    /// The object with the password of the client's own key.
    pub tls_key_secret: Option<String>,
    /// The object with the client's certificates.
    pub tls_credentials: Option<String>,
    /// The object that reaches the helper for persistent reservations.
    pub reservations: Option<String>,
}

impl SourceStatus {
    pub(super) fn read(data: Element<'_>) -> Result<Self, XmlError> {
        // Kept for a later batch: paths as they were recorded, and thresholds.
        for name in ["relPath", "thresholdEvent", "fdset", "limits"] {
            data.keep(name);
        }
        let mut status = Self::default();
        for names in data.children("nodenames") {
            for node in names.children("nodename") {
                status.read_node(node)?;
            }
        }
        for objects in data.children("objects") {
            for secret in objects.children("secret") {
                status.read_secret(secret)?;
            }
            let credentials = objects.maybe("TLSx509", |tls| tls.need_string("alias"))?;
            status.tls_credentials = credentials.or(status.tls_credentials);
        }
        let helper = data.child("reservations").and_then(|helper| helper.filled("mgralias"));
        status.reservations = helper;
        Ok(status)
    }

    fn read_node(&mut self, node: Element<'_>) -> Result<(), XmlError> {
        let place = match node.need("type")? {
            "storage" => &mut self.storage_node,
            "slice-storage" => &mut self.slice_node,
            "format" => &mut self.format_node,
            other => return Err(node.unknown(Some("type"), other, &["storage", "slice-storage", "format"])),
        };
        *place = Some(node.need_string("name")?);
        Ok(())
    }

    fn read_secret(&mut self, secret: Element<'_>) -> Result<(), XmlError> {
        let alias = secret.need_string("alias")?;
        match secret.need("type")? {
            "auth" => self.server_secret = Some(alias),
            "encryption" => self.content_secrets.push(alias),
            "httpcookie" => self.cookie_secret = Some(alias),
            "tlskey" => self.tls_key_secret = Some(alias),
            other => {
                return Err(secret.unknown(
                    Some("type"),
                    other,
                    &["auth", "encryption", "httpcookie", "tlskey"],
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Domain;

    fn read(data: &str) -> Result<Domain, XmlError> {
        Domain::parse(&format!(
            "<domain type='kvm'><name>n</name><memory>1</memory><os><type>hvm</type></os><devices><disk type='file'>\
             <source file='/a'><privateData>{data}</privateData></source><target dev='vda'/></disk></devices></domain>"
        ))
    }

    #[test]
    fn names_and_objects_are_read() {
        let domain = read(
            "<nodenames><nodename type='storage' name='s'/><nodename type='format' name='f'/>\
             <nodename type='slice-storage' name='p'/></nodenames><reservations mgralias='r'/><relPath>x</relPath>\
             <objects><secret type='auth' alias='a'/><secret type='encryption' alias='e0'/>\
             <secret type='encryption' alias='e1'/><secret type='httpcookie' alias='c'/>\
             <secret type='tlskey' alias='k'/><TLSx509 alias='t'/></objects>",
        )
        .unwrap();
        let some = |text: &str| Some(text.to_owned());
        let wanted = SourceStatus {
            storage_node: some("s"),
            slice_node: some("p"),
            format_node: some("f"),
            server_secret: some("a"),
            content_secrets: vec!["e0".to_owned(), "e1".to_owned()],
            cookie_secret: some("c"),
            tls_key_secret: some("k"),
            tls_credentials: some("t"),
            reservations: some("r"),
        };
        assert_eq!(domain.devices.disks[0].source.status.as_deref(), Some(&wanted));
        assert!(domain.unmodelled().is_empty(), "{:?}", domain.unmodelled());
    }

    #[test]
    fn a_kind_that_nobody_knows_is_refused() {
        for data in [
            "<nodenames><nodename type='x' name='s'/></nodenames>",
            "<nodenames><nodename type='storage'/></nodenames>",
            "<objects><secret type='x' alias='a'/></objects>",
        ] {
            assert!(read(data).is_err(), "{data}");
        }
    }
}
