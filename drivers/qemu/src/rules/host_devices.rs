//! Devices of the host inside the guest.

use hostler_sdk::domain::address::Address;
use hostler_sdk::domain::hostdev::{Hostdev, HostdevSource, MdevModel};

use super::{Broken, Rule, Subject, broken};

pub(super) const RULES: &[Rule] = &[mediated, displays, boot, foreign];

fn model(hostdev: &Hostdev) -> Option<MdevModel> {
    match &hostdev.source {
        HostdevSource::Mdev { model, .. } => Some(*model),
        _ => None,
    }
}

/// A mediated device sits where its model does.
fn mediated(subject: &Subject<'_>) -> Option<Broken> {
    subject.domain.devices.hostdevs.iter().find_map(|hostdev| {
        let address = hostdev.info.address.as_ref()?;
        let (fits, remedy) = match model(hostdev)? {
            MdevModel::VfioPci => (matches!(address, Address::Pci(_)), "write <address type='pci'/>"),
            MdevModel::VfioCcw => (matches!(address, Address::Ccw(_)), "write <address type='ccw' …/>"),
            MdevModel::VfioAp => (false, "remove <address>"),
        };
        (!fits && !matches!(address, Address::Unassigned)).then_some(())?;
        let what = "a mediated device of this model has no address of this type";
        broken(subject.within(hostdev.node, "address"), "qemu.hostdev-address", what, remedy)
    })
}

fn displays(subject: &Subject<'_>) -> Option<Broken> {
    let devices = &subject.domain.devices;
    let mut framebuffers = 0;
    devices.hostdevs.iter().find_map(|hostdev| {
        let HostdevSource::Mdev { display, ramfb, .. } = &hostdev.source else { return None };
        let (display, ramfb) = (*display == Some(true), *ramfb == Some(true));
        framebuffers += u32::from(ramfb);
        if framebuffers > 1 {
            let what = "one mediated device of a domain can have a frame buffer in memory";
            return broken(hostdev.node, "qemu.only-one", what, "write ramfb='off'");
        }
        if ramfb && !display {
            let what = "ramfb='on' without display='on'";
            return broken(hostdev.node, "qemu.hostdev-display", what, "write display='on'");
        }
        if display && devices.graphics.is_empty() {
            let what = "display='on', and the domain has no <graphics> to show it";
            return broken(
                hostdev.node,
                "qemu.hostdev-display",
                what,
                "add <graphics>, or write display='off'",
            );
        }
        None
    })
}

/// Models of other machines.
fn foreign(subject: &Subject<'_>) -> Option<Broken> {
    let all = subject.domain.devices.hostdevs.iter();
    let stranger =
        all.filter(|hostdev| hostdev.info.address != Some(Address::Unassigned)).find(|hostdev| {
            !subject.arch.starts_with("s390")
                && matches!(model(hostdev), Some(MdevModel::VfioAp | MdevModel::VfioCcw))
        })?;
    let what = "mediated devices of this model are of s390 machines";
    broken(stranger.node, "qemu.hostdev-model", what, "write model='vfio-pci'")
}

fn boot(subject: &Subject<'_>) -> Option<Broken> {
    let hostdevs = subject.domain.devices.hostdevs.iter();
    let mut bootable = hostdevs.filter(|hostdev| hostdev.info.boot_order.is_some());
    let stranger = bootable.find(|hostdev| match &hostdev.source {
        HostdevSource::Mdev { model, .. } => *model == MdevModel::VfioAp,
        HostdevSource::Capability { .. } | HostdevSource::ScsiHost { .. } => true,
        _ => false,
    })?;
    let what = "a guest cannot boot from a device of the host of this kind";
    broken(subject.within(stranger.node, "boot"), "qemu.hostdev-boot", what, "remove <boot>")
}
