//! Contradictions between parts of a domain that are wrong whatever the driver.

use std::collections::BTreeSet;
use std::fmt::Display;

use crate::address::Address;
use crate::controller::ControllerType;
use crate::document::{Document, NodeId};
use crate::domain::Domain;
use crate::error::{XmlError, XmlErrorKind};
use crate::hostdev::HostdevSource;
use crate::numatune::NumaMode;
use crate::tpm::Tpm;

/// Devices that a domain has once.
const SINGLE_DEVICES: [&str; 5] = ["memballoon", "iommu", "vsock", "nvram", "emulator"];

/// Refuses a domain whose parts contradict each other.
pub(crate) fn check(document: &Document, domain: &Domain) -> Result<(), XmlError> {
    let check = Check { document, domain };
    check.single_devices()?;
    check.names()?;
    check.places()?;
    check.host_devices()?;
    check.boot()?;
    check.sound()?;
    check.numa()
}

struct Check<'d> {
    document: &'d Document,
    domain: &'d Domain,
}

impl Check<'_> {
    fn error(&self, kind: XmlErrorKind, node: NodeId, message: impl Into<String>) -> XmlError {
        XmlError::new(kind, self.document.position(node), message).at_path(self.document.path(node))
    }

    fn conflict(&self, node: NodeId, message: impl Into<String>) -> XmlError {
        self.error(XmlErrorKind::Conflict, node, message)
    }

    /// Refuses the second of two things that are the same.
    fn unique<T: Ord + Display>(
        &self,
        what: &str,
        things: impl IntoIterator<Item = (NodeId, T)>,
    ) -> Result<(), XmlError> {
        let mut seen = BTreeSet::new();
        for (node, thing) in things {
            let message = format!("{what} {thing} is used twice");
            if !seen.insert(thing) {
                return Err(self.error(XmlErrorKind::Duplicate, node, message));
            }
        }
        Ok(())
    }

    /// The projection reads the first of what there can be once; a second one must not be lost in silence.
    fn single_devices(&self) -> Result<(), XmlError> {
        let devices = self.domain.devices.node;
        let named = |name: &'static str| {
            let all = devices.into_iter().flat_map(|devices| self.document.elements(devices));
            all.filter(move |node| self.document.name(*node) == name)
        };
        for name in SINGLE_DEVICES {
            if let Some(second) = named(name).nth(1) {
                let message = format!("a domain has one device '{name}' at most");
                return Err(self.error(XmlErrorKind::OnlyOne, second, message));
            }
        }
        // A proxy stands beside a module; two of either do not.
        for proxy in [false, true] {
            let is_proxy = |tpm: &&Tpm| (tpm.model.as_deref() == Some("spapr-tpm-proxy")) == proxy;
            if let Some(second) = self.domain.devices.tpms.iter().filter(is_proxy).nth(1) {
                let what = if proxy { "TPM proxy" } else { "TPM" };
                let message = format!("a domain has one {what} at most");
                return Err(self.error(XmlErrorKind::OnlyOne, second.node, message));
            }
        }
        Ok(())
    }

    fn names(&self) -> Result<(), XmlError> {
        let devices = &self.domain.devices;
        self.unique("disk target", devices.disks.iter().map(|disk| (disk.node, &disk.target)))?;
        self.unique("audio id", devices.audios.iter().map(|audio| (audio.node, audio.id)))?;
        // Companions of a USB controller share its index, by design.
        let indexed = devices.controllers.iter().filter(|controller| controller.kind != ControllerType::Usb);
        let indexes = indexed.filter_map(|controller| {
            Some((controller.node, format!("of type '{}' with index {}", controller.kind, controller.index?)))
        });
        self.unique("controller", indexes)?;
        let root = self.document.root();
        let threads = self.document.child(root, "iothreadids").unwrap_or(root);
        self.unique("I/O thread id", self.domain.iothreads.listed.iter().map(|thread| (threads, thread.id)))?;
        let named = devices.infos().filter_map(|(node, info)| Some((node, info.alias.as_deref()?)));
        // Aliases that the user did not choose are overwritten at start.
        self.unique("alias", named.filter(|(_, alias)| alias.starts_with("ua-")))
    }

    fn places(&self) -> Result<(), XmlError> {
        let infos = self.domain.devices.infos();
        let places = infos.filter_map(|(node, info)| Some((node, info.address.as_ref()?.pci()?)));
        let chosen = places.filter(|(_, pci)| !pci.is_unassigned());
        self.unique("PCI address", chosen.map(|(node, pci)| (node, pci.to_string())))?;
        let registers = self.domain.devices.infos().filter_map(|(node, info)| match info.address {
            Some(Address::SpaprVio { reg: Some(reg) }) => Some((node, format!("{reg:#x}"))),
            _ => None,
        });
        self.unique("spapr-vio address", registers)
    }

    fn host_devices(&self) -> Result<(), XmlError> {
        let devices = self.domain.devices.hostdevs.iter().filter_map(|hostdev| {
            let name = match &hostdev.source {
                HostdevSource::Pci { address } => address.to_string(),
                HostdevSource::Mdev { uuid, .. } => uuid.to_ascii_lowercase(),
                HostdevSource::Scsi { adapter, bus, target, unit, .. } => {
                    format!("{adapter}:{bus}:{target}:{unit}")
                }
                _ => return None,
            };
            Some((hostdev.node, name))
        });
        self.unique("host device", devices)
    }

    fn boot(&self) -> Result<(), XmlError> {
        let orders = || {
            let infos = self.domain.devices.infos();
            infos.filter_map(|(node, info)| Some((node, info.boot_order?)))
        };
        if let (Some((node, _)), false) = (orders().next(), self.domain.os.boot.is_empty()) {
            let message = "the domain has boot orders of devices and boot devices in 'os'";
            return Err(self
                .conflict(node, message)
                .hint("keep either <boot order='...'/> or <boot dev='...'/>"));
        }
        self.unique("boot order", orders())
    }

    /// A card plays to a back end that is there; where the document has none, there will be number 1.
    fn sound(&self) -> Result<(), XmlError> {
        let devices = &self.domain.devices;
        let known = |id: u32| match devices.audios.as_slice() {
            [] => id == 1,
            audios => audios.iter().any(|audio| audio.id == id),
        };
        let named = devices.sounds.iter().filter_map(|sound| Some((sound.node, sound.audio_id?)));
        let Some((node, id)) = named.into_iter().find(|(_, id)| !known(*id)) else { return Ok(()) };
        let message = format!("there is no audio back end {id}");
        Err(self
            .error(XmlErrorKind::InvalidValue, node, message)
            .hint("add <audio id='…' type='none'/>, or correct <audio id='…'/> of the card"))
    }

    fn numa(&self) -> Result<(), XmlError> {
        let root = self.document.root();
        let cells: BTreeSet<u32> =
            self.domain.cpu.iter().flat_map(|cpu| &cpu.numa).map(|cell| cell.id).collect();
        if let Some((wanted, _)) = (0..).zip(&cells).find(|(wanted, id)| wanted != *id) {
            let numa = self.document.child(root, "cpu").and_then(|cpu| self.document.child(cpu, "numa"));
            let message =
                format!("NUMA cells are numbered from 0 without gaps, and cell {wanted} is missing");
            return Err(self
                .error(XmlErrorKind::InvalidValue, numa.unwrap_or(root), message)
                .hint("number the cells 0, 1, 2 and so on, or leave their ids out"));
        }
        let tune = &self.domain.numatune;
        let node = self.document.child(root, "numatune").unwrap_or(root);
        if let Some(stranger) = tune.cells.iter().find(|cell| !cells.contains(&cell.cell)) {
            let message = format!("'memnode' names cell {}, which the domain does not have", stranger.cell);
            return Err(self
                .conflict(node, message)
                .hint("add the cell to 'cpu/numa', or remove the 'memnode'"));
        }
        let restrictive = |mode| mode == NumaMode::Restrictive;
        let all = tune.memory.as_ref().is_some_and(|memory| restrictive(memory.mode));
        if tune.memory.is_some() && tune.cells.iter().any(|cell| restrictive(cell.mode) != all) {
            let message = "mode 'restrictive' stands in 'memory' and in every 'memnode', or nowhere";
            return Err(self.conflict(node, message));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::Domain;

    /// Line of the conflict; each part begins on a line of its own, from line 3.
    fn conflict(parts: &[&str], devices: &[&str]) -> Option<(u32, String)> {
        let text = format!(
            "<domain type='kvm'><name>a</name><memory>64</memory>\n<os><type>hvm</type></os>\n{}\n<devices>\n{}\n\
             </devices></domain>",
            parts.join("\n"),
            devices.join("\n")
        );
        let error = Domain::parse(&text).err()?;
        assert!(
            ["xml.conflict", "xml.duplicate", "xml.invalid-value", "xml.only-one"].contains(&error.code()),
            "{error}"
        );
        assert!(!error.hints.is_empty(), "{error}");
        Some((error.position.line, error.message))
    }

    #[test]
    fn the_second_of_two_is_refused() {
        let pairs = [
            ("<disk><target dev='vda'/></disk>", "disk target vda"),
            ("<controller type='pci' index='1'/>", "controller of type 'pci' with index 1"),
            ("<audio id='1' type='none'/>", "audio id 1"),
            ("<watchdog model='ib700'><alias name='ua-a'/></watchdog>", "alias ua-a"),
            (
                "<rng model='virtio'><backend model='builtin'/><address type='pci' slot='0x2'/></rng>",
                "PCI address 0000:00:02.0",
            ),
            ("<hostdev type='pci'><source><address bus='1'/></source></hostdev>", "host device 0000:01:00.0"),
            ("<redirdev type='spicevmc'><boot order='1'/></redirdev>", "boot order 1"),
        ];
        for (device, what) in pairs {
            assert_eq!(conflict(&[""], &[device]), None, "{device}");
            let wanted = (6, format!("{what} is used twice"));
            assert_eq!(conflict(&[""], &[device, device]), Some(wanted), "{device}");
        }
        let companions = "<controller type='usb' index='0' model='ich9-uhci1'/>";
        assert_eq!(conflict(&[""], &[companions, companions]), None);
        let threads = "<iothreadids><iothread id='1'/><iothread id='1'/></iothreadids>";
        assert_eq!(conflict(&[threads], &[]).unwrap().0, 3);
    }

    #[test]
    fn numa_cells_are_numbered_without_gaps() {
        let cells = |ids: [u32; 2]| {
            let [a, b] = ids;
            format!("<cpu><numa><cell id='{a}' memory='64'/><cell id='{b}' memory='64'/></numa></cpu>")
        };
        assert_eq!(conflict(&[&cells([1, 0])], &[]), None);
        assert!(conflict(&[&cells([0, 2])], &[]).unwrap().1.ends_with("cell 1 is missing"));
        let tune = |mode: &str, cell: u32| {
            format!(
                "<numatune><memory mode='restrictive' nodeset='0'/><memnode cellid='{cell}' mode='{mode}' nodeset='0'/></numatune>"
            )
        };
        assert_eq!(conflict(&[&cells([0, 1]), &tune("restrictive", 1)], &[]), None);
        assert_eq!(conflict(&[&cells([0, 1]), &tune("restrictive", 2)], &[]).unwrap().0, 4);
        assert_eq!(conflict(&[&cells([0, 1]), &tune("strict", 1)], &[]).unwrap().0, 4);
    }

    #[test]
    fn boot_devices_and_boot_orders_exclude_each_other() {
        let text = "<domain type='kvm'><name>a</name><memory>64</memory><os><type>hvm</type><boot dev='hd'/></os>\
                    <devices><disk><target dev='vda'/><boot order='1'/></disk></devices></domain>";
        let error = Domain::parse(text).unwrap_err();
        assert_eq!((error.code(), error.hints.len()), ("xml.conflict", 1));
    }
}
