//! Taking a device out, and what became of one.

use hostler_sdk::domain::Domain as Document;
use hostler_sdk::domain::address::Address;
use hostler_sdk::domain::controller::ControllerType;
use hostler_sdk::domain::disk::DiskBus;
use hostler_sdk::domain::rng::RngBackend;
use hostler_sdk::{Command, Domain, Error, Monitor, MonitorExt, Presence, ProblemExt, clock, fact, problem};

use super::super::notes;
use super::subject::{Subject, at};
use super::{machine, names, nodes, steps};
use crate::argv::Plugged;
use crate::blockdev;

/// How long a guest may take to let go of a device while somebody waits.
const PATIENCE_MS: u64 = 5_000;

/// Takes out the device that the document has at this place.
///
/// # Errors
/// What cannot be taken out; `hypervisor` when the guest refuses; what host and monitor answer.
pub(crate) fn detach(domain: &Domain, place: u32) -> Result<Presence, Error> {
    let now = Document::parse(&domain.config())?;
    let subject = Subject::at(&now, place)?;
    subject.require_pluggable(&now)?;
    require_idle(&now, subject)?;
    let monitor = domain.monitor()?;
    names::pin(domain, &now)?;
    let id = names::aliases(domain, &now)?.get(subject.node()).unwrap_or_default().to_owned();
    if let Subject::Disk(disk) = subject {
        let nodes = nodes::of(domain, &monitor, disk, &id)?;
        notes::put(domain, &[(nodes::key(disk), Some(nodes::joined(&nodes)))])?;
    }
    if machine::has(&monitor, &id)? && !is_let_go(&monitor, &id)? {
        domain.emit("device-removal-asked", &[fact("device", id)]);
        return Ok(Presence::Present);
    }
    clear(domain, &monitor, (&now, subject), &id)?;
    domain.emit("device-detached", &[fact("device", id)]);
    Ok(Presence::Absent)
}

/// What became of the device that the next document has at this place. Nothing is left of one that the guest does not have.
///
/// # Errors
/// What host and monitor answer.
pub(crate) fn settle(domain: &Domain, place: u32) -> Result<Presence, Error> {
    let next = Document::parse(&domain.next_config()?)?;
    let subject = Subject::at(&next, place)?;
    let monitor = domain.monitor()?;
    let id = names::aliases(domain, &next)?.get(subject.node()).unwrap_or_default().to_owned();
    if !id.is_empty() && machine::has(&monitor, &id)? {
        return Ok(Presence::Present);
    }
    clear(domain, &monitor, (&next, subject), &id)?;
    Ok(Presence::Absent)
}

/// Refuses a controller that another device hangs from.
fn require_idle(document: &Document, subject: Subject<'_>) -> Result<(), Error> {
    let Subject::Other(Plugged::Controller(controller)) = subject else { return Ok(()) };
    let hangs = |address: &Address| match (controller.kind, address) {
        (ControllerType::Scsi, Address::Drive(drive)) => Some(drive.controller) == controller.index,
        (ControllerType::VirtioSerial, Address::VirtioSerial { controller: index, .. }) => {
            Some(*index) == controller.index
        }
        _ => false,
    };
    // Disks on other buses have addresses of the same form.
    let elsewhere =
        |node| document.devices.disks.iter().any(|disk| disk.node == node && disk.bus != DiskBus::Scsi);
    let mut users = document.devices.infos().filter(|(_, info)| info.address.as_ref().is_some_and(hangs));
    match users.find(|(node, _)| !elsewhere(*node)) {
        Some((node, _)) => {
            let name = document.document().name(node).to_owned();
            Err(at(document, subject.node(), &format!("the controller is in use by a <{name}>"))
                .hint(format!("take the <{name}> out first"))
                .conflict())
        }
        None => Ok(()),
    }
}

/// Asks the guest to let go of a device, and waits a while. Whether it has.
pub(in crate::lifecycle) fn is_let_go(monitor: &Monitor, id: &str) -> Result<bool, Error> {
    let mut cursor = monitor.cursor();
    let asked = monitor.run_all(&[Command::new("device_del").with("id", id)]).pop();
    match asked {
        // Asked before: it is waited for again.
        Some(Err(Error::Hypervisor(told))) if told.message.contains("already in the process") => {}
        Some(Err(error)) => return Err(error),
        _ => {}
    }
    let names = ["DEVICE_DELETED", "DEVICE_UNPLUG_GUEST_ERROR"].map(str::to_owned);
    let until = clock::monotonic_ms().saturating_add(PATIENCE_MS);
    loop {
        let left = until.saturating_sub(clock::monotonic_ms());
        let Some(event) = monitor.wait_event(&names, cursor, left)? else { return Ok(false) };
        cursor = event.cursor;
        if !is_about(&event.data, id) {
            continue;
        }
        if event.name == "DEVICE_DELETED" {
            return Ok(true);
        }
        let message = format!("the guest refuses to let go of the device '{id}'");
        return Err(problem("qemu.guest-refused", message)
            .hint("see in the guest what uses it: a mounted file system, for example")
            .hypervisor());
    }
}

/// Whether an event is about this device itself, not about a part of it.
fn is_about(data: &str, id: &str) -> bool {
    let data: Option<serde_json::Value> = serde_json::from_str(data).ok();
    data.is_some_and(|data| data.get("device").and_then(serde_json::Value::as_str) == Some(id))
}

/// Removes what stands behind a device that the machine does not have.
///
/// # Errors
/// What host and monitor answer.
fn clear(
    domain: &Domain,
    monitor: &Monitor,
    (document, subject): (&Document, Subject<'_>),
    id: &str,
) -> Result<(), Error> {
    match subject {
        Subject::Disk(disk) => {
            let keys = [nodes::key(disk), nodes::pending_key(disk)];
            for key in &keys {
                remove_nodes(monitor, &nodes::noted(domain, key)?.unwrap_or_default())?;
            }
            notes::put(domain, &keys.map(|key| (key, None)))
        }
        Subject::Other(device) => {
            if !id.is_empty() {
                behind(device, id).iter().for_each(|command| steps::remove(monitor, command));
            }
            names::forget(domain, document, subject)
        }
    }
}

/// What removes that which a device without images stands on.
fn behind(device: Plugged<'_>, id: &str) -> Vec<Command> {
    let remove = |command: &str, prefix: &str| Command::new(command).with("id", format!("{prefix}{id}"));
    match device {
        Plugged::Interface(_) => vec![remove("netdev_del", "host")],
        Plugged::Rng(rng) => {
            let object = remove("object-del", "obj");
            match rng.backend {
                RngBackend::Egd(_) => vec![object, remove("chardev-remove", "char")],
                _ => vec![object],
            }
        }
        Plugged::Channel(_) => vec![remove("chardev-remove", "char")],
        Plugged::Watchdog(_) | Plugged::Input(_) | Plugged::Controller(_) => Vec::new(),
    }
}

/// Removes nodes, each before those that it refers to, and the keys of their content, as far as they are there.
///
/// # Errors
/// One that stays: something uses it.
pub(super) fn remove_nodes(monitor: &Monitor, nodes: &[String]) -> Result<(), Error> {
    if nodes.is_empty() {
        return Ok(());
    }
    let live = machine::nodes(monitor)?;
    for node in nodes.iter().filter(|node| live.contains(node)) {
        let command = Command::new("blockdev-del").with("node-name", node.as_str());
        monitor.run_all(&[command]).pop().transpose()?;
    }
    for key in machine::children(monitor, "/objects")? {
        if nodes.iter().any(|node| blockdev::is_key_of(&key, node)) {
            steps::remove(monitor, &Command::new("object-del").with("id", key));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_event_of_the_device_itself_counts() {
        assert!(is_about(
            r#"{"device":"virtio-disk1","path":"/machine/peripheral/virtio-disk1"}"#,
            "virtio-disk1"
        ));
        assert!(!is_about(r#"{"path":"/machine/peripheral/virtio-disk1/virtio-backend"}"#, "virtio-disk1"));
        assert!(!is_about(r#"{"device":"virtio-disk10"}"#, "virtio-disk1"));
        assert!(!is_about("no json", "virtio-disk1"));
    }
}
