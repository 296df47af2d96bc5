//! `xml`: a domain's document.

use hostler_domain::{Document, NodeId, XmlError};

use crate::error::Error;
use crate::host::Host;
use crate::reference::DomainRef;

/// Which document of a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one it was started with, if it runs; otherwise the stored one.
    Current,
    /// The stored one: what its next start takes.
    Stored,
}

/// A document, of a domain or with some in it, without the passwords of its displays.
///
/// # Errors
/// What is wrong with the document.
pub fn without_passwords(xml: &str) -> Result<String, XmlError> {
    if !xml.contains("passwd") {
        return Ok(xml.to_owned());
    }
    let mut document = Document::parse(xml)?;
    let mut displays = Vec::new();
    collect(&document, document.root(), &mut displays);
    for display in displays {
        document.remove_attribute(display, "passwd")?;
    }
    Ok(document.to_xml())
}

fn collect(document: &Document, node: NodeId, displays: &mut Vec<NodeId>) {
    for child in document.elements(node) {
        if document.name(child) == "graphics" {
            displays.push(child);
        }
        collect(document, child, displays);
    }
}

impl Host {
    /// A domain's document, as its driver completed it; of one that runs, with what is true at this moment.
    ///
    /// # Errors
    /// [`crate::Kind::NotFound`].
    pub async fn xml(&self, wanted: &DomainRef, which: Which) -> Result<String, Error> {
        let definition = self.find(wanted)?;
        match which {
            Which::Stored => Ok(definition.xml),
            Which::Current => self.moment(&definition).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_of_displays_are_left_out_wherever_a_domain_stands() {
        let domain = |passwd: &str| {
            format!(
                "<domain><description>passwd</description><devices>\n  <graphics type='vnc'{passwd}/>\
                 <graphics type='spice'{passwd}/></devices></domain>"
            )
        };
        assert_eq!(without_passwords(&domain(" passwd='s'")).unwrap(), domain(""));
        let within = |domain: &str| format!("<domainsnapshot>{domain}<inactiveDomain/></domainsnapshot>");
        assert_eq!(without_passwords(&within(&domain(" passwd='s'"))).unwrap(), within(&domain("")));
        assert_eq!(without_passwords("no document").unwrap(), "no document");
        assert!(without_passwords("<passwd").is_err());
    }
}
