//! Serial ports, channels and consoles.

use hostler_sdk::domain::chardev::{CharBackend, Chardev};

use super::{Broken, Rule, Subject, broken};

pub(super) const RULES: &[Rule] = &[serial_targets, generated_paths];

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
