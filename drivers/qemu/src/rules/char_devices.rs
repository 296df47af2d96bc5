//! Serial ports, channels and consoles.

use hostler_sdk::domain::NodeId;
use hostler_sdk::domain::chardev::{CharBackend, Chardev, ChardevKind};
use hostler_sdk::domain::graphics::GraphicsKind;

use super::{Broken, Rule, Subject, broken};

pub(super) const RULES: &[Rule] = &[serial_targets, generated_paths, back_ends, vmc_names, second_console];

fn serial_targets(subject: &Subject<'_>) -> Option<Broken> {
    let serials = &subject.domain.devices.serials;
    let stranger = serials.iter().find(|serial| {
        let kind = serial.target.kind.as_deref().unwrap_or_default();
        match kind {
            "isa-serial" | "isa-debug" => !subject.is_x86(),
            "spapr-vio-serial" => subject.arch != "ppc64",
            "system-serial" => !subject.is_arm() && !subject.arch.starts_with("riscv"),
            "sclp-serial" => !subject.arch.starts_with("s390"),
            _ => false,
        }
    })?;
    let what = format!(
        "architecture '{}' with machine type '{}' has no serial port of type '{}'",
        subject.arch,
        subject.machine_name,
        stranger.target.kind.as_deref().unwrap_or_default()
    );
    broken(stranger.node, "qemu.machine-serial", what, "leave 'type' of <target> out")
}

/// Everything with a back end: its element, and where the bytes go.
fn back_ends_of<'a>(subject: &Subject<'a>) -> impl Iterator<Item = (NodeId, ChardevKind, &'a CharBackend)> {
    let devices = &subject.domain.devices;
    let ports =
        devices.serials.iter().chain(&devices.parallels).chain(&devices.consoles).chain(&devices.channels);
    ports.map(|port| (port.node, port.kind, &port.source.backend))
}

fn back_ends(subject: &Subject<'_>) -> Option<Broken> {
    let graphics = &subject.domain.devices.graphics;
    let spice = graphics.iter().any(|display| matches!(display.kind, GraphicsKind::Spice(_)));
    let redirected = subject.domain.devices.redirdevs.iter().find_map(|device| {
        let lost =
            matches!(device.source.backend, CharBackend::SpiceVmc | CharBackend::SpicePort { .. }) && !spice;
        lost.then_some(device.node)
    });
    if let Some(node) = redirected {
        return without_spice(node);
    }
    back_ends_of(subject).find_map(|(node, kind, backend)| match backend {
        CharBackend::Nmdm { .. } => {
            broken(node, "qemu.chardev-type", "QEMU has no back end of type 'nmdm'", "write type='pty'")
        }
        CharBackend::SpiceVmc if kind != ChardevKind::Channel || !has_virtio_target(subject, node) => broken(
            node,
            "qemu.chardev-spice",
            "a back end of type 'spicevmc' is for a channel over virtio",
            "write <target type='virtio'>, or another type",
        ),
        CharBackend::SpiceVmc | CharBackend::SpicePort { .. } if !spice => without_spice(node),
        _ => None,
    })
}

fn without_spice(node: NodeId) -> Option<Broken> {
    let what = "the bytes go to a client of SPICE, and the domain has no such display";
    broken(node, "qemu.chardev-spice", what, "add <graphics type='spice'/>")
}

fn has_virtio_target(subject: &Subject<'_>, node: NodeId) -> bool {
    subject.document().attribute(subject.within(node, "target"), "type") == Some("virtio")
}

/// A client knows what it talks to by its name.
fn vmc_names(subject: &Subject<'_>) -> Option<Broken> {
    let stranger = |channel: &&Chardev| {
        matches!(channel.source.backend, CharBackend::SpiceVmc)
            && channel.target.name.as_deref().is_some_and(|name| name != "com.redhat.spice.0")
    };
    let channel = subject.domain.devices.channels.iter().find(stranger)?;
    let what = "a channel of type 'spicevmc' is the one of SPICE's agent";
    let node = subject.within(channel.node, "target");
    broken(node, "qemu.chardev-spice", what, "write name='com.redhat.spice.0', or leave it out")
}

/// A console that is a serial port is the first one.
fn second_console(subject: &Subject<'_>) -> Option<Broken> {
    let consoles = &subject.domain.devices.consoles;
    let serial = |console: &&Chardev| console.target.kind.as_deref() == Some("serial");
    let second = consoles.iter().skip(1).find(serial)?;
    let what = "only the first console can be a serial port";
    broken(second.node, "qemu.console-serial", what, "write <target type='virtio'/>, or use <serial>")
}

/// A path that libvirt chose at an earlier start is chosen anew: there the hypervisor listens.
fn generated_paths(subject: &Subject<'_>) -> Option<Broken> {
    let reconnects = |chardev: &&Chardev| match &chardev.source.backend {
        CharBackend::Unix { path, reconnect: Some(reconnect), .. } => {
            reconnect.enabled && path.as_deref().is_none_or(is_generated)
        }
        _ => false,
    };
    let channel = subject.domain.devices.channels.iter().find(reconnects)?;
    let what = "the path of this channel is chosen at each start and listened on: only what connects can do so again";
    let source = subject.within(channel.node, "source");
    broken(
        subject.within(source, "reconnect"),
        "qemu.chardev-reconnect",
        what,
        "write another path, or remove <reconnect>",
    )
}

/// `…/channel/domain-NAME/…` or `…/channel/target/domain-NAME/…`.
fn is_generated(path: &str) -> bool {
    ["/channel/domain-", "/channel/target/domain-"].iter().any(|mark| path.contains(mark))
}
