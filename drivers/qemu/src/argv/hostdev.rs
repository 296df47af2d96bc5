//! Devices of the host. A launch cannot have them yet: the host hands none to a driver.

use hostler_sdk::domain::address::{Address, PciAddress};
use hostler_sdk::domain::controller::ControllerType;
use hostler_sdk::domain::hostdev::{GuestReset, Hostdev, HostdevSource, UsbSource};
use hostler_sdk::domain::interface::InterfaceSource;
use hostler_sdk::domain::storage_source::{NetworkSource, Protocol};
use hostler_sdk::{Error, Value};

use super::builder::{Builder, set_some};
use super::{comparison, virtio};
use crate::blockdev::{self, Openers};
use crate::machine::UNNAMED_SCSI_MODEL;

/// The descriptor of the host's SCSI target in a comparison.
const SCSI_HOST_DESCRIPTOR: &str = "3";

/// All devices of the host.
pub(super) fn hostdevs(builder: &mut Builder<'_>) -> Result<(), Error> {
    for interface in &builder.domain.devices.interfaces {
        if let (true, InterfaceSource::Hostdev { address, .. }) =
            (builder.inputs.facts.comparison, &interface.source)
        {
            let mut value = pci(address, builder.id(interface.node)?);
            set_some(&mut value, "bootindex", builder.boot_index(interface.node, &interface.info));
            builder.place(&mut value, interface.node, &interface.info)?;
            builder.device(interface.node, value);
        }
    }
    for hostdev in &builder.domain.devices.hostdevs {
        // Taken from the host, but not plugged into this guest.
        if hostdev.info.address == Some(Address::Unassigned) {
            continue;
        }
        if !builder.inputs.facts.comparison {
            return Err(builder
                .not_offered(hostdev.node, "is a device of the host, which drivers are not offered yet"));
        }
        let value = device(builder, hostdev)?;
        builder.device(hostdev.node, value);
    }
    Ok(())
}

fn device(builder: &mut Builder<'_>, hostdev: &Hostdev) -> Result<Value, Error> {
    let alias = builder.id(hostdev.node)?;
    let boot = builder.boot_index(hostdev.node, &hostdev.info);
    let mut value = Value::mapping();
    match &hostdev.source {
        HostdevSource::Pci { address } => {
            value = pci(address, alias).with_some("bootindex", boot);
        }
        HostdevSource::Usb(source) => value = usb(source).with("id", alias).with_some("bootindex", boot),
        HostdevSource::Mdev { uuid, display, ramfb, .. } => {
            let ramfb = ramfb.filter(|ramfb| *ramfb);
            value.set("driver", if ramfb.is_some() { "vfio-pci-nohotplug" } else { "vfio-pci" });
            value.set("id", alias);
            value.set("sysfsdev", format!("/sys/bus/mdev/devices/{uuid}"));
            value.set("display", if *display == Some(true) { "on" } else { "off" });
            set_some(&mut value, "ramfb", ramfb);
            set_some(&mut value, "bootindex", boot);
        }
        HostdevSource::ScsiHost { wwpn, model } => {
            value.set("driver", virtio::driver("vhost-scsi", &hostdev.info, model.as_deref()));
            value.set("wwpn", wwpn.as_str());
            value.set("vhostfd", SCSI_HOST_DESCRIPTOR);
            value.set("id", alias);
        }
        HostdevSource::Scsi { .. } | HostdevSource::Iscsi { .. } => return scsi(builder, hostdev, alias),
        HostdevSource::Capability { .. } => {
            return Err(builder.unsupported(hostdev.node, "is for containers"));
        }
    }
    builder.place(&mut value, hostdev.node, &hostdev.info)?;
    Ok(value)
}

/// A function of a PCI device.
fn pci(address: &PciAddress, alias: &str) -> Value {
    Value::mapping().with("driver", "vfio-pci").with("host", address.to_string()).with("id", alias)
}

fn usb(source: &UsbSource) -> Value {
    let mut value = Value::mapping().with("driver", "usb-host");
    match (source.bus, source.device) {
        (Some(bus), Some(device)) => value.set("hostdevice", format!("/dev/bus/usb/{bus:03}/{device:03}")),
        _ => {
            set_some(&mut value, "vendorid", source.vendor.map(u32::from));
            set_some(&mut value, "productid", source.product.map(u32::from));
        }
    }
    if let Some(reset) = source.guest_reset {
        value.set("guest-reset", reset != GuestReset::Off);
        set_some(
            &mut value,
            "guest-resets-all",
            (reset != GuestReset::Off).then_some(reset == GuestReset::On),
        );
    }
    value
}

/// A SCSI device passed through: its node, then the device on the guest's bus.
fn scsi(builder: &mut Builder<'_>, hostdev: &Hostdev, alias: &str) -> Result<Value, Error> {
    let node = format!("libvirt-{}-backend", builder.next_number);
    builder.next_number = builder.next_number.saturating_add(1);
    let protocol = match &hostdev.source {
        HostdevSource::Iscsi { name, hosts, auth, initiator_iqn } => {
            let secret = format!("{node}-secret0");
            if auth.is_some() {
                comparison::secret(builder, &secret, hostdev.node)?;
            }
            let mut target = NetworkSource::new(Protocol::Iscsi);
            target.name = Some(name.clone());
            target.hosts.clone_from(hosts);
            target.initiator_iqn.clone_from(initiator_iqn);
            let openers = Openers { auth: auth.as_ref(), secret: Some(&secret), ..Openers::default() };
            blockdev::server_properties(&target, &openers)?
        }
        _ => Value::mapping().with("driver", "host_device").with("filename", comparison::scsi_generic_path()),
    };
    builder.option("blockdev", protocol.with("node-name", node.as_str()).with("read-only", hostdev.readonly));
    let mut value = Value::mapping().with("driver", "scsi-generic");
    set_some(&mut value, "share-rw", hostdev.shareable.then_some(true));
    value.set("drive", node);
    value.set("id", alias);
    set_some(&mut value, "bootindex", builder.boot_index(hostdev.node, &hostdev.info));
    let Some(address) = hostdev.info.address.as_ref().and_then(|address| address.drive()) else {
        return Err(builder.unsupported(hostdev.node, "needs an address of type 'drive'"));
    };
    let controller = builder.controller(ControllerType::Scsi, address.controller);
    let model = controller.and_then(|controller| controller.model.as_deref()).unwrap_or(UNNAMED_SCSI_MODEL);
    let bus = builder.controller_id(ControllerType::Scsi, address.controller, hostdev.node)?;
    value.set("bus", format!("{bus}.0"));
    if super::disk_device::is_narrow(model) {
        value.set("scsi-id", address.unit);
    } else {
        value.set("channel", address.bus);
        value.set("scsi-id", address.target);
        value.set("lun", address.unit);
    }
    Ok(value)
}
