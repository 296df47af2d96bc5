//! `xml`: a domain's document.

use hostler_domain::{Document, Domain, NodeId, XmlError};

use crate::error::Error;
use crate::host::Host;
use crate::reference::DomainRef;
use crate::verbs::InterfaceDevice;

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
    /// A domain's document, as its driver completed it; of one that runs, with the devices of this host that connect its
    /// network interfaces.
    ///
    /// # Errors
    /// [`crate::Kind::NotFound`].
    pub async fn xml(&self, wanted: &DomainRef, which: Which) -> Result<String, Error> {
        let definition = self.find(wanted)?;
        match which {
            Which::Stored => Ok(definition.xml),
            Which::Current => {
                let devices = self.interface_devices(wanted).await?;
                Ok(connected(self.current_xml(&definition)?, &devices)?)
            }
        }
    }
}

/// A document with the devices that connect its network interfaces (libvirt's `target` element). A name like theirs in a
/// document is no choice of its author: the next run makes its own.
fn connected(xml: String, devices: &[InterfaceDevice]) -> Result<String, XmlError> {
    if devices.is_empty() {
        return Ok(xml);
    }
    let domain = Domain::parse(&xml)?;
    let mut document = domain.document().clone();
    for interface in &domain.devices.interfaces {
        let Some(mac) = interface.mac else { continue };
        let Some(device) = devices.iter().find(|device| device.mac == mac.to_string()) else { continue };
        let target = match document.child(interface.node, "target") {
            Some(target) => target,
            None => match document.child(interface.node, "model") {
                Some(model) => document.insert_before(model, "<target/>")?,
                None => document.append_child(interface.node, "<target/>")?,
            },
        };
        document.set_attribute(target, "dev", &device.device)?;
    }
    Ok(document.to_xml())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_are_shown_with_the_devices_that_connect_them() {
        let interface = |more: &str| {
            format!(
                "<domain type='kvm'><name>a</name><memory>1</memory><os><type>hvm</type></os><devices>\
                 <interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='b'/>{more}</interface>\
                 <interface type='user'><mac address='52:54:00:00:00:02'/></interface></devices></domain>"
            )
        };
        let device = InterfaceDevice {
            mac: "52:54:00:00:00:01".to_owned(),
            device: "vnet3".to_owned(),
            received: [0; 4],
            sent: [0; 4],
        };
        let shown = |more: &str| connected(interface(more), std::slice::from_ref(&device)).unwrap();
        assert_eq!(shown("<model type='virtio'/>"), interface("<target dev='vnet3'/><model type='virtio'/>"));
        assert_eq!(shown("<target dev='vnet0'/>"), interface("<target dev='vnet3'/>"));
        assert_eq!(connected(interface(""), &[]).unwrap(), interface(""));
    }

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
