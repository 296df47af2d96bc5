//! The ids that devices have inside QEMU.
//!
//! They follow from kind and position, or from the place of a device, so that they are the same at every
//! start; names that the author chose (`ua-…`) are used as they are.

use std::collections::BTreeMap;

use hostler_sdk::domain::address::Address;
use hostler_sdk::domain::controller::{Controller, ControllerType};
use hostler_sdk::domain::device_info::DeviceInfo;
use hostler_sdk::domain::disk::{Disk, DiskBus};
use hostler_sdk::domain::interface::InterfaceSource;
use hostler_sdk::domain::memory_device::{MemoryDevice, MemoryModel};
use hostler_sdk::domain::{Domain, NodeId};

use crate::machine::{DEFAULT_MACHINE, Machine, UNNAMED_SCSI_MODEL};

/// What aliases chosen by the author begin with.
const USER_PREFIX: &str = "ua-";

/// The id of every device, by its element.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Aliases(BTreeMap<NodeId, String>);

impl Aliases {
    /// The id of a device; none for elements that are no device.
    pub(crate) fn get(&self, node: NodeId) -> Option<&str> {
        self.0.get(&node).map(String::as_str)
    }

    /// Names a device by hand.
    pub(crate) fn name(&mut self, node: NodeId, alias: String) {
        self.0.insert(node, alias);
    }

    /// Every device with its id.
    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (NodeId, &str)> {
        self.0.iter().map(|(node, alias)| (*node, alias.as_str()))
    }

    fn put(&mut self, node: NodeId, info: &DeviceInfo, made: impl FnOnce() -> String) {
        let alias = user_alias(info).map_or_else(made, str::to_owned);
        self.0.insert(node, alias);
    }

    /// Names devices `<prefix>0`, `<prefix>1`, … by their position.
    fn count<'d>(&mut self, prefix: &str, devices: impl Iterator<Item = (NodeId, &'d DeviceInfo)>) {
        for (position, (node, info)) in devices.enumerate() {
            self.put(node, info, || format!("{prefix}{position}"));
        }
    }
}

fn user_alias(info: &DeviceInfo) -> Option<&str> {
    info.alias.as_deref().filter(|alias| alias.starts_with(USER_PREFIX))
}

/// Names every device of a completed domain.
pub(crate) fn assign(domain: &Domain) -> Aliases {
    let mut aliases = Aliases::default();
    controllers(domain, &mut aliases);
    for disk in &domain.devices.disks {
        aliases.put(disk.node, &disk.info, || disk_alias(domain, disk));
    }
    interfaces_and_host_devices(domain, &mut aliases);
    by_position(domain, &mut aliases);
    videos(domain, &mut aliases);
    character_devices(domain, &mut aliases);
    memory_modules(domain, &mut aliases);
    aliases
}

/// The ids of the devices of a domain that is started, by their positions among its devices.
pub(crate) fn by_place(domain: &Domain) -> Vec<(u32, String)> {
    let aliases = assign(domain);
    let devices = domain.devices.node.into_iter().flat_map(|devices| domain.document().elements(devices));
    devices.zip(0..).filter_map(|(device, place)| Some((place, aliases.get(device)?.to_owned()))).collect()
}

/// Names devices whose position among their kind is all there is to say.
fn by_position(domain: &Domain, aliases: &mut Aliases) {
    macro_rules! count {
        ($($prefix:literal: $family:ident),+ $(,)?) => {
            $(aliases.count($prefix, domain.devices.$family.iter().map(|device| (device.node, &device.info)));)+
        };
    }
    count! {
        "fs": filesystems, "smartcard": smartcards, "input": inputs, "tpm": tpms, "sound": sounds,
        "redir": redirdevs, "hub": hubs, "watchdog": watchdogs, "balloon": memballoon,
        "rng": rngs, "panic": panics, "shmem": shmems, "iommu": iommu, "vsock": vsock,
    }
}

/// The primary video device is the first, wherever it stands.
fn videos(domain: &Domain, aliases: &mut Aliases) {
    let mut videos: Vec<_> = domain.devices.videos.iter().collect();
    videos.sort_by_key(|video| video.primary != Some(true));
    aliases.count("video", videos.into_iter().map(|video| (video.node, &video.info)));
}

fn controllers(domain: &Domain, aliases: &mut Aliases) {
    let machine = Machine::of(domain.os.machine.as_deref().unwrap_or(DEFAULT_MACHINE));
    for controller in &domain.devices.controllers {
        let index = controller.index.unwrap_or(0);
        if let Some(builtin) = builtin_alias(machine, controller, index) {
            aliases.0.insert(controller.node, builtin.to_owned());
            continue;
        }
        // The functions of one USB controller share the name of their master.
        let info = usb_master(domain, controller).map_or(&controller.info, |master| &master.info);
        aliases.put(controller.node, info, || controller_alias(controller.kind, index));
    }
}

fn controller_alias(kind: ControllerType, index: u32) -> String {
    match kind {
        ControllerType::Pci => format!("pci.{index}"),
        ControllerType::Usb if index == 0 => "usb".to_owned(),
        kind => format!("{kind}{index}"),
    }
}

/// QEMU's own name for a controller that is part of the machine, whatever the author calls it.
fn builtin_alias(machine: Machine, controller: &Controller, index: u32) -> Option<&'static str> {
    let express = machine.is_express();
    match controller.kind {
        _ if index != 0 => None,
        ControllerType::Pci => Some(if express { "pcie.0" } else { "pci.0" }),
        ControllerType::Ide if machine.has_builtin_ide() => Some("ide"),
        ControllerType::Sata if machine.has_builtin_sata() => Some("ide"),
        _ => None,
    }
}

fn usb_master<'d>(domain: &'d Domain, controller: &Controller) -> Option<&'d Controller> {
    let companion = controller.model.as_deref().is_some_and(|model| model.starts_with("ich9-uhci"));
    let master = |other: &&Controller| {
        other.kind == ControllerType::Usb
            && other.index == controller.index
            && other.model.as_deref() == Some("ich9-ehci1")
    };
    domain.devices.controllers.iter().filter(|_| companion).find(master)
}

fn disk_alias(domain: &Domain, disk: &Disk) -> String {
    let bus = disk.bus;
    let Some(place) = disk.info.address.as_ref().and_then(|address| address.drive()) else {
        return format!("{bus}-disk{}", disk.target.index().unwrap_or(0));
    };
    let (controller, channel, unit) = (place.controller, place.bus, place.unit);
    if bus == DiskBus::Scsi && !is_narrow(domain, controller) {
        return format!("{bus}{controller}-{channel}-{}-{unit}", place.target);
    }
    format!("{bus}{controller}-{channel}-{unit}")
}

/// Whether a SCSI controller is one that knows targets but no logical units.
fn is_narrow(domain: &Domain, index: u32) -> bool {
    let scsi = |controller: &&Controller| {
        controller.kind == ControllerType::Scsi && controller.index.unwrap_or(0) == index
    };
    let controller = domain.devices.controllers.iter().find(scsi);
    let model = controller.and_then(|controller| controller.model.as_deref()).unwrap_or(UNNAMED_SCSI_MODEL);
    model == UNNAMED_SCSI_MODEL
}

/// Interfaces that are passed-through devices are counted with those, first.
fn interfaces_and_host_devices(domain: &Domain, aliases: &mut Aliases) {
    let passed = |source: &InterfaceSource| matches!(source, InterfaceSource::Hostdev { .. });
    let interfaces = &domain.devices.interfaces;
    let own = interfaces.iter().filter(|interface| !passed(&interface.source));
    aliases.count("net", own.map(|interface| (interface.node, &interface.info)));
    let first = interfaces.iter().filter(|interface| passed(&interface.source));
    let first = first.map(|interface| (interface.node, &interface.info));
    let rest = domain.devices.hostdevs.iter().map(|hostdev| (hostdev.node, &hostdev.info));
    aliases.count("hostdev", first.chain(rest));
}

fn character_devices(domain: &Domain, aliases: &mut Aliases) {
    let devices = &domain.devices;
    aliases.count("serial", devices.serials.iter().map(|serial| (serial.node, &serial.info)));
    aliases.count("parallel", devices.parallels.iter().map(|parallel| (parallel.node, &parallel.info)));
    aliases.count("channel", devices.channels.iter().map(|channel| (channel.node, &channel.info)));
    aliases.count("console", devices.consoles.iter().map(|console| (console.node, &console.info)));
    // The first console of type serial is the first serial port under another name.
    let paired = devices
        .consoles
        .first()
        .filter(|console| console.target.kind.as_deref().is_none_or(|kind| kind == "serial"));
    if let (Some(console), Some(serial)) = (paired, devices.serials.first())
        && let Some(name) = aliases.get(serial.node).map(str::to_owned)
    {
        aliases.0.insert(console.node, name);
    }
}

fn memory_modules(domain: &Domain, aliases: &mut Aliases) {
    let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
    for module in &domain.devices.memories {
        let prefix = memory_prefix(module.model);
        let count = counts.entry(prefix).or_default();
        let number = slot(module).map_or(*count, |slot| usize::try_from(slot).unwrap_or(*count));
        aliases.put(module.node, &module.info, || format!("{prefix}{number}"));
        *count += 1;
    }
}

fn memory_prefix(model: MemoryModel) -> &'static str {
    match model {
        MemoryModel::Dimm => "dimm",
        MemoryModel::Nvdimm => "nvdimm",
        MemoryModel::VirtioMem => "virtiomem",
        MemoryModel::VirtioPmem => "virtiopmem",
        MemoryModel::SgxEpc => "epc",
    }
}

fn slot(module: &MemoryDevice) -> Option<u32> {
    match module.info.address {
        Some(Address::Dimm { slot, .. }) => slot,
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aliases(machine: &str, devices: &str) -> Vec<String> {
        let xml = format!(
            "<domain type='kvm'><name>a</name><memory>1</memory><vcpu>1</vcpu><os><type arch='x86_64' \
             machine='{machine}'>hvm</type></os><devices>{devices}</devices></domain>"
        );
        let domain = Domain::parse(&xml).unwrap();
        let aliases = assign(&domain);
        let devices = domain.devices.node.unwrap();
        let nodes = domain.document().elements(devices);
        nodes.map(|node| aliases.get(node).unwrap_or("-").to_owned()).collect()
    }

    #[test]
    fn controllers_of_the_machine_keep_its_names() {
        let controllers = "<controller type='pci' index='0' model='pcie-root'/>\
             <controller type='sata' index='0'><alias name='ua-mine'/></controller>\
             <controller type='sata' index='1'/><controller type='usb' index='0' model='qemu-xhci'/>\
             <controller type='usb' index='1' model='ich9-ehci1'><alias name='ua-usb'/></controller>\
             <controller type='usb' index='1' model='ich9-uhci1'/>";
        assert_eq!(aliases("q35", controllers), ["pcie.0", "ide", "sata1", "usb", "ua-usb", "ua-usb"]);
        let ide = "<controller type='ide' index='0'/><controller type='pci' index='0' model='pci-root'/>";
        assert_eq!(aliases("pc", ide), ["ide", "pci.0"]);
    }

    #[test]
    fn disks_are_named_by_place_or_target() {
        let place = "<address type='drive' controller='1' bus='0' target='2' unit='3'/>";
        let disks = format!(
            "<controller type='scsi' index='1' model='virtio-scsi'/>\
             <disk type='block'><target dev='sda' bus='scsi'/>{place}</disk>\
             <disk type='block'><target dev='sdb' bus='sata'/>{place}</disk>\
             <disk type='block'><target dev='vdc' bus='virtio'/></disk>\
             <disk type='block'><target dev='sdd' bus='usb'/></disk>"
        );
        let expected = ["scsi1", "scsi1-0-2-3", "sata1-0-3", "virtio-disk2", "usb-disk3"];
        assert_eq!(aliases("q35", &disks), expected);
        let narrow = disks.replace("virtio-scsi", "lsilogic");
        assert_eq!(aliases("q35", &narrow).get(1).map(String::as_str), Some("scsi1-0-3"));
    }

    #[test]
    fn the_console_of_the_first_serial_port_has_its_name() {
        let devices = "<serial type='pty'/><console type='pty'><target type='serial'/></console>\
             <console type='pty'><target type='virtio'/></console>";
        assert_eq!(aliases("pc", devices), ["serial0", "serial0", "console1"]);
    }

    #[test]
    fn the_primary_video_device_is_the_first() {
        let devices = "<video><model type='qxl'/></video><video><model type='qxl' primary='yes'/></video>";
        assert_eq!(aliases("pc", devices), ["video1", "video0"]);
    }
}
