//! The documents that drivers are tried with.

use hostler_domain::Document;
use hostler_domain::document::escape_attribute;

/// The identifier in the documents whose identity matters to nobody.
pub(crate) const UUID: &str = "5a8fbe64-1f1c-4d0e-9b57-0b6c1e5a7d11";

/// The least that a domain of a type is.
pub(crate) fn minimal(kind: &str, name: &str, uuid: &str) -> String {
    around(kind, name, uuid, "")
}

/// The least that a domain of a type is, with more before its end.
pub(crate) fn around(kind: &str, name: &str, uuid: &str, more: &str) -> String {
    format!(
        "<domain type='{kind}'>\n  <name>{name}</name>\n  <uuid>{uuid}</uuid>\n  \
         <memory unit='MiB'>64</memory>\n  <vcpu>1</vcpu>\n  <os>\n    <type>hvm</type>\n  </os>\n{more}</domain>\n",
        kind = escape_attribute(kind),
    )
}

/// A document under another name and identifier.
///
/// # Errors
/// Why it is no domain, in a sentence.
pub(crate) fn renamed(xml: &str, name: &str, uuid: &str) -> Result<String, String> {
    let mut document = Document::parse(xml).map_err(|error| error.to_string())?;
    let root = document.root();
    for (element, text) in [("name", name), ("uuid", uuid)] {
        let node = match document.child(root, element) {
            Some(node) => node,
            None => document
                .append_child(root, &format!("<{element}/>"))
                .map_err(|error| format!("<{element}> cannot be added: {error}"))?,
        };
        document.set_text(node, text).map_err(|error| format!("<{element}> cannot be set: {error}"))?;
    }
    Ok(document.to_xml())
}

/// The text of an element at the top of a domain's document; nothing when it is not there, or this is no document.
pub(crate) fn element(xml: &str, name: &str) -> Option<String> {
    let document = Document::parse(xml).ok()?;
    let node = document.child(document.root(), name)?;
    Some(document.text(node))
}

/// The domain type that a document names.
pub(crate) fn kind(xml: &str) -> Option<String> {
    let document = Document::parse(xml).ok()?;
    let root = document.root();
    (document.name(root) == "domain").then(|| document.attribute(root, "type").map(str::to_owned)).flatten()
}

/// Whether two domains can have this document at once, each under its own name: they share no disk.
pub(crate) fn can_run_twice(xml: &str) -> bool {
    let Ok(document) = Document::parse(xml) else { return false };
    let devices = document.child(document.root(), "devices");
    devices.is_none_or(|devices| document.child(devices, "disk").is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_renamed_whether_it_has_an_identifier_or_not() {
        let minimal = minimal("test", "a", UUID);
        for xml in [minimal.clone(), minimal.replace(&format!("  <uuid>{UUID}</uuid>\n"), "")] {
            let renamed = renamed(&xml, "b & c", "00000000-0000-4000-8000-000000000001").unwrap();
            assert_eq!(element(&renamed, "name").as_deref(), Some("b & c"));
            assert_eq!(element(&renamed, "uuid").as_deref(), Some("00000000-0000-4000-8000-000000000001"));
            assert_eq!(kind(&renamed).as_deref(), Some("test"));
        }
        assert!(renamed("<domain>", "a", UUID).is_err());
    }

    #[test]
    fn only_a_document_without_disks_can_run_twice() {
        assert!(can_run_twice(&minimal("test", "a", UUID)));
        let disk = "<devices><disk/></devices>";
        assert!(!can_run_twice(&around("test", "a", UUID, disk)));
    }
}
