//! What a document of a guest that runs says of that run alone: in no definition, and gone in the next run.

use crate::document::{Document, NodeId};
use crate::domain::Domain;
use crate::error::XmlError;

/// How names of tap devices begin that the system has chosen, with a number behind.
const SYSTEM_TAP: &str = "vnet";

/// Whether this is a name of a tap device that the system has chosen, and chooses anew each time.
#[must_use]
pub fn is_system_tap(name: &str) -> bool {
    let number = name.strip_prefix(SYSTEM_TAP);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A domain's document without what is true for one run only.
///
/// # Errors
/// What is wrong with the document.
pub fn without_run(xml: String) -> Result<String, XmlError> {
    let mut document = Document::parse(&xml)?;
    let Some(devices) = document.child(document.root(), "devices") else { return Ok(xml) };
    Ok(if document.forget_run(devices)? { document.to_xml() } else { xml })
}

impl Domain {
    /// Its document without what is true for one run only.
    ///
    /// # Errors
    /// None for a document that was read.
    pub fn document_without_run(&self) -> Result<Document, XmlError> {
        let mut document = self.document().clone();
        if let Some(devices) = self.devices.node {
            document.forget_run(devices)?;
        }
        Ok(document)
    }
}

impl Document {
    /// Forgets, of the devices that are children of an element, what is true for one run only: aliases that no author has
    /// chosen, names of tap devices that the system has, whether channels are open. Whether there was any of it.
    ///
    /// # Errors
    /// None for a document that was read.
    pub fn forget_run(&mut self, devices: NodeId) -> Result<bool, XmlError> {
        let mut forgotten = self.forget_aliases(devices)?;
        let targets: Vec<_> = self
            .elements(devices)
            .filter_map(|device| Some((self.name(device).to_owned(), self.child(device, "target")?)))
            .collect();
        for (kind, target) in targets {
            forgotten |= match kind.as_str() {
                "interface" => self.forget_tap(target)?,
                "channel" => self.remove_attribute(target, "state")?,
                _ => false,
            };
        }
        Ok(forgotten)
    }

    fn forget_tap(&mut self, target: NodeId) -> Result<bool, XmlError> {
        let is_system = self.attribute(target, "dev").is_some_and(is_system_tap);
        // One that is somebody else's has the name that they gave it.
        if !is_system || self.attribute(target, "managed") == Some("no") {
            return Ok(false);
        }
        self.remove_attribute(target, "dev")?;
        if self.attributes(target).is_empty() && self.elements(target).next().is_none() {
            self.remove(target)?;
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_system_are_told_from_given_ones() {
        for (name, system) in
            [("vnet0", true), ("vnet17", true), ("vnet", false), ("vnetx", false), ("tap0", false)]
        {
            assert_eq!(is_system_tap(name), system, "{name}");
        }
    }

    #[test]
    fn what_is_true_for_one_run_only_is_forgotten_and_what_an_author_said_stays() {
        let document = |devices: &str| format!("<domain><devices>{devices}</devices></domain>");
        for (run, left) in [
            ("<interface><mtu/><target dev='vnet3'/></interface>", "<interface><mtu/></interface>"),
            ("<rng><alias name='rng0'/><rate/></rng>", "<rng><rate/></rng>"),
            (
                "<channel><target name='a' state='connected'/></channel>",
                "<channel><target name='a'/></channel>",
            ),
        ] {
            assert_eq!(without_run(document(run)).unwrap(), document(left));
        }
        for stays in [
            "<interface><target dev='vnet3' managed='no'/></interface>",
            "<interface><target dev='guest9'/></interface>",
            "<disk><target dev='vnet3'/></disk>",
            "<rng><alias name='ua-mine'/></rng>",
        ] {
            assert_eq!(without_run(document(stays)).unwrap(), document(stays));
        }
        assert_eq!(without_run("<domain/>".to_owned()).unwrap(), "<domain/>");
    }
}
