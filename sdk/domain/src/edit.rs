//! Edits of a domain by node; the projection follows at [`Domain::refresh`].

use crate::address::Address;
use crate::document::NodeId;
use crate::domain::Domain;
use crate::error::XmlError;
use crate::fragment::Fragment;
use crate::identity::DomainUuid;

impl Domain {
    /// Puts a device at a place: replaces its `<address>` or adds one.
    ///
    /// # Errors
    /// The node is no element, or a limit of the document is exceeded.
    pub fn set_address(&mut self, device: NodeId, address: &Address) -> Result<(), XmlError> {
        let fragment = address.to_fragment().to_xml();
        if let Some(old) = self.document.child(device, "address") {
            self.document.insert_before(old, &fragment)?;
            return self.document.remove(old);
        }
        self.document.append_child(device, &fragment).map(drop)
    }

    /// Names a device.
    ///
    /// # Errors
    /// As [`Domain::set_address`].
    pub fn set_alias(&mut self, device: NodeId, alias: &str) -> Result<(), XmlError> {
        let node = self.child_or_new(device, "alias")?;
        self.document.set_attribute(node, "name", alias)
    }

    /// Adds a device as the last one; makes `<devices>` when the document has none.
    ///
    /// # Errors
    /// A limit of the document is exceeded.
    pub fn append_device(&mut self, device: &Fragment) -> Result<NodeId, XmlError> {
        let devices = self.child_or_new(self.document.root(), "devices")?;
        self.document.append_child(devices, &device.to_xml())
    }

    /// Sets an attribute of a child element, which is made when missing.
    ///
    /// # Errors
    /// As [`Domain::set_address`].
    pub fn set_child_attribute(
        &mut self,
        parent: NodeId,
        child: &str,
        name: &str,
        value: &str,
    ) -> Result<(), XmlError> {
        let node = self.child_or_new(parent, child)?;
        self.document.set_attribute(node, name, value)
    }

    /// Sets the text of a child element, which is made when missing.
    ///
    /// # Errors
    /// As [`Domain::set_address`].
    pub fn set_child_text(&mut self, parent: NodeId, child: &str, text: &str) -> Result<(), XmlError> {
        let node = self.child_or_new(parent, child)?;
        self.document.set_text(node, text)
    }

    /// Sets the UUID; a new element follows the name.
    ///
    /// # Errors
    /// A limit of the document is exceeded.
    pub fn set_uuid(&mut self, uuid: &DomainUuid) -> Result<(), XmlError> {
        let root = self.document.root();
        if let Some(node) = self.document.child(root, "uuid") {
            return self.document.set_text(node, &uuid.to_string());
        }
        let fragment = Fragment::new("uuid").text(uuid).to_xml();
        let after_name =
            self.document.elements(root).skip_while(|node| self.document.name(*node) != "name").nth(1);
        match after_name {
            Some(next) => self.document.insert_before(next, &fragment).map(drop),
            None => self.document.append_child(root, &fragment).map(drop),
        }
    }

    /// Sets the machine type, such as the versioned name behind `q35`.
    ///
    /// # Errors
    /// As [`Domain::set_address`].
    pub fn set_os_machine(&mut self, machine: &str) -> Result<(), XmlError> {
        self.set_os_type("machine", machine)
    }

    /// Sets the architecture.
    ///
    /// # Errors
    /// As [`Domain::set_address`].
    pub fn set_os_arch(&mut self, arch: &str) -> Result<(), XmlError> {
        self.set_os_type("arch", arch)
    }

    fn set_os_type(&mut self, name: &str, value: &str) -> Result<(), XmlError> {
        let os = self.child_or_new(self.document.root(), "os")?;
        self.set_child_attribute(os, "type", name, value)
    }

    /// Replaces `<loader>`.
    ///
    /// # Errors
    /// As [`Domain::set_address`].
    pub fn set_loader(&mut self, loader: &Fragment) -> Result<(), XmlError> {
        self.replace_in_os("loader", loader)
    }

    /// Replaces `<nvram>` by a file with this path, made from this template.
    ///
    /// # Errors
    /// As [`Domain::set_address`].
    pub fn set_nvram(&mut self, path: Option<&str>, template: Option<&str>) -> Result<(), XmlError> {
        let nvram = Fragment::new("nvram").maybe_attribute("template", template);
        self.replace_in_os("nvram", &path.into_iter().fold(nvram, Fragment::text))
    }

    fn replace_in_os(&mut self, name: &str, fragment: &Fragment) -> Result<(), XmlError> {
        let os = self.child_or_new(self.document.root(), "os")?;
        if let Some(old) = self.document.child(os, name) {
            self.document.insert_before(old, &fragment.to_xml())?;
            return self.document.remove(old);
        }
        self.document.append_child(os, &fragment.to_xml()).map(drop)
    }

    /// Sets the port of a graphics element; the host has chosen it.
    ///
    /// # Errors
    /// As [`Domain::set_address`].
    pub fn set_graphics_port(&mut self, graphics: NodeId, port: u16) -> Result<(), XmlError> {
        self.document.set_attribute(graphics, "port", &port.to_string())
    }

    fn child_or_new(&mut self, parent: NodeId, name: &str) -> Result<NodeId, XmlError> {
        match self.document.child(parent, name) {
            Some(node) => Ok(node),
            None => self.document.append_child(parent, &Fragment::new(name).to_xml()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::PciAddress;
    use crate::controller::{ControllerType, NewController};
    use crate::input::{InputBus, InputType, new_input};
    use crate::memballoon::new_memballoon;
    use crate::video::new_video;

    const HEAD: &str = "<domain type='kvm'>\n  <name>a</name>\n  <memory>1024</memory>\n  <os>\n    <type>hvm</type>\n  </os>\n";

    #[test]
    fn defaults_are_added_where_they_belong() {
        let mut domain = Domain::parse(&format!("{HEAD}</domain>\n")).unwrap();
        domain
            .append_device(&NewController::new(ControllerType::Pci, 0).with_model("pcie-root").to_fragment())
            .unwrap();
        domain.append_device(&new_input(InputType::Mouse, InputBus::Ps2)).unwrap();
        let video = domain.append_device(&new_video("vga", true)).unwrap();
        let balloon = domain.append_device(&new_memballoon("virtio")).unwrap();
        domain.set_address(balloon, &Address::Pci(PciAddress::new(0, 3, 0))).unwrap();
        domain.set_address(balloon, &Address::Pci(PciAddress::new(0, 4, 0))).unwrap();
        domain.set_alias(video, "video0").unwrap();
        domain.set_uuid(&DomainUuid::parse("c7a5fdbdedaf9455926ad65c16db1809").unwrap()).unwrap();
        domain.set_os_arch("x86_64").unwrap();
        domain.set_os_machine("pc-q35-7.2").unwrap();
        domain.set_nvram(Some("/vars.fd"), Some("/template.fd")).unwrap();
        domain.refresh().unwrap();
        let written = "<domain type='kvm'>\n  <name>a</name>\n  \
            <uuid>c7a5fdbd-edaf-9455-926a-d65c16db1809</uuid>\n  <memory>1024</memory>\n  <os>\n    \
            <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>\n    \
            <nvram template='/template.fd'>/vars.fd</nvram>\n  </os>\n  <devices>\n    \
            <controller type='pci' index='0' model='pcie-root'/>\n    <input type='mouse' bus='ps2'/>\n    \
            <video>\n      <model type='vga' heads='1' primary='yes'/>\n      <alias name='video0'/>\n    </video>\n    \
            <memballoon model='virtio'>\n      \
            <address type='pci' domain='0x0000' bus='0x00' slot='0x04' function='0x0'/>\n    </memballoon>\n  \
            </devices>\n</domain>\n";
        assert_eq!(domain.to_xml(), written);
        assert_eq!(domain.devices.memballoon.as_ref().unwrap().node, balloon);
        assert_eq!(domain.document().position(balloon).line, 16);
        domain.set_nvram(None, None).unwrap();
        assert!(domain.to_xml().contains("    <nvram/>\n  </os>"));
    }

    #[test]
    fn a_refresh_that_fails_changes_no_projection() {
        let mut domain = Domain::parse(&format!("{HEAD}</domain>")).unwrap();
        let root = domain.document().root();
        domain.document_mut().set_attribute(root, "type", "K V M").unwrap();
        let refused = domain.refresh().unwrap_err();
        assert_eq!((refused.code(), refused.position.column), ("xml.invalid-value", 9));
        assert_eq!(domain.kind, crate::DomainType::Kvm);
    }
}
