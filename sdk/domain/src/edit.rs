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
