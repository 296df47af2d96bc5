//! `<controller>`: what disks, ports and PCI devices are plugged into.

use crate::device_info::DeviceInfo;
use crate::document::NodeId;
use crate::error::{XmlError, XmlErrorKind};
use crate::fragment::Fragment;
use crate::read::Element;
use crate::virtio::VirtioOptions;

keywords! {
    /// What a controller is for.
    ControllerType {
        Ide = "ide", Fdc = "fdc", Scsi = "scsi", Sata = "sata", VirtioSerial = "virtio-serial", Ccid = "ccid",
        Usb = "usb", Pci = "pci", Xenbus = "xenbus", Isa = "isa", Nvme = "nvme",
    }
}

/// A controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Controller {
    /// The element.
    pub node: NodeId,
    /// What it is for.
    pub kind: ControllerType,
    /// Its number among those of its type; none when still to be chosen.
    pub index: Option<u32>,
    /// Its model, such as `pcie-root-port`; open, because drivers differ.
    pub model: Option<String>,
    /// How many ports it has (usb, virtio-serial).
    pub ports: Option<u32>,
    /// How many interrupt vectors it has (virtio-serial).
    pub vectors: Option<u32>,
    /// `<driver>`.
    pub driver: ControllerDriver,
    /// What is particular to PCI controllers.
    pub pci: PciTarget,
    /// The first port of a companion USB controller.
    pub master_start_port: Option<u32>,
    /// Alias, address.
    pub info: DeviceInfo,
}

/// `<driver>` of a controller; none where the document is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ControllerDriver {
    /// Number of queues.
    pub queues: Option<u32>,
    /// Commands per unit.
    pub cmd_per_lun: Option<u32>,
    /// Sectors per command.
    pub max_sectors: Option<u32>,
    /// Whether the host takes notifications asynchronously.
    pub ioeventfd: Option<bool>,
    /// Id of the I/O thread that serves it.
    pub iothread: Option<u32>,
    /// The switches that any virtio device can carry.
    pub virtio: VirtioOptions,
}

/// What is particular to PCI controllers; none where the document is silent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PciTarget {
    /// The device that implements it (`<model name>`), such as `ioh3420`.
    pub model_name: Option<String>,
    /// Number of a bridge, 1 to 255.
    pub chassis_nr: Option<u8>,
    /// Number of a root or downstream port, up to 255.
    pub chassis: Option<u8>,
    /// Port number of a root or downstream port, up to 255.
    pub port: Option<u8>,
    /// Bus number of an expander bus, 1 to 254.
    pub bus_nr: Option<u8>,
    /// Index of a sPAPR host bridge.
    pub index: Option<u32>,
    /// Whether devices can be plugged while the guest runs.
    pub hotplug: Option<bool>,
    /// Guest NUMA cell it belongs to.
    pub numa_node: Option<u32>,
    /// Size of the 64-bit window, in bytes.
    pub pci_hole64: Option<u64>,
}

impl Controller {
    pub(crate) fn read(controller: Element<'_>) -> Result<Self, XmlError> {
        let hole = controller.maybe("pcihole64", |hole| hole.size("KiB"))?;
        let pci = PciTarget { pci_hole64: hole.map(|size| size.0), ..read_target(controller)? };
        Ok(Self {
            node: controller.node,
            kind: controller.need_keyword("type")?,
            index: controller.number("index")?,
            model: controller.filled("model"),
            ports: controller.number("ports")?,
            vectors: controller.number("vectors")?,
            driver: controller.maybe("driver", read_driver)?.unwrap_or_default(),
            pci,
            master_start_port: controller.maybe("master", |master| master.need_number("startport"))?,
            info: DeviceInfo::read(controller)?,
        })
    }
}

fn read_driver(driver: Element<'_>) -> Result<ControllerDriver, XmlError> {
    Ok(ControllerDriver {
        queues: driver.number("queues")?,
        cmd_per_lun: driver.number("cmd_per_lun")?,
        max_sectors: driver.number("max_sectors")?,
        ioeventfd: driver.on_off("ioeventfd")?,
        iothread: driver.number("iothread")?,
        virtio: VirtioOptions::read(driver)?,
    })
}

fn read_target(controller: Element<'_>) -> Result<PciTarget, XmlError> {
    let model_name = controller.child("model").and_then(|model| model.filled("name"));
    let Some(target) = controller.child("target") else {
        return Ok(PciTarget { model_name, ..PciTarget::default() });
    };
    let byte = |name, least: u8| {
        let number = target.c_number(name, 0xff)?.map(|number| u8::try_from(number).unwrap_or(u8::MAX));
        if number.is_some_and(|number| number < least) {
            let message = format!("attribute '{name}' of 'target' is less than {least}");
            return Err(target.fault(Some(name), XmlErrorKind::OutOfRange, message));
        }
        Ok(number)
    };
    Ok(PciTarget {
        model_name,
        chassis_nr: byte("chassisNr", 1)?,
        chassis: byte("chassis", 0)?,
        port: byte("port", 0)?,
        bus_nr: byte("busNr", 1)?,
        index: target.number("index")?,
        hotplug: target.on_off("hotplug")?,
        numa_node: target.maybe("node", Element::content_number)?,
        pci_hole64: None,
    })
}

/// A controller to be added to a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewController {
    /// What it is for.
    pub kind: ControllerType,
    /// Its number among those of its type.
    pub index: u32,
    /// Its model.
    pub model: Option<String>,
    /// What is particular to PCI controllers.
    pub pci: PciTarget,
}

impl NewController {
    /// A controller with a number and nothing else said.
    pub fn new(kind: ControllerType, index: u32) -> Self {
        Self { kind, index, model: None, pci: PciTarget::default() }
    }

    /// The same with this model.
    #[must_use]
    pub fn with_model(self, model: &str) -> Self {
        Self { model: Some(model.to_owned()), ..self }
    }

    /// The element that stands for it.
    pub fn to_fragment(&self) -> Fragment {
        let pci = &self.pci;
        let model = pci.model_name.as_ref().map(|name| Fragment::new("model").attribute("name", name));
        let named = PciTarget { model_name: None, ..pci.clone() } != PciTarget::default();
        let target = named.then(|| {
            Fragment::new("target")
                .maybe_attribute("chassisNr", pci.chassis_nr)
                .maybe_attribute("chassis", pci.chassis)
                .maybe_attribute("port", pci.port.map(|port| format!("{port:#x}")))
                .maybe_attribute("busNr", pci.bus_nr)
                .maybe_attribute("index", pci.index)
                .maybe_attribute("hotplug", pci.hotplug.map(|on| if on { "on" } else { "off" }))
                .maybe_child(pci.numa_node.map(|node| Fragment::new("node").text(node)))
        });
        Fragment::new("controller")
            .attribute("type", self.kind)
            .attribute("index", self.index)
            .maybe_attribute("model", self.model.as_ref())
            .maybe_child(model)
            .maybe_child(target)
    }
}
