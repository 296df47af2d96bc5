//! What a running machine has, as its hypervisor says. Its words are untrusted.

use hostler_sdk::{Command, Error, Monitor, MonitorExt, ProblemExt, problem};
use serde_json::Value as Json;

/// A drive or disk, as far as its hypervisor tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Drive {
    /// The node that it uses; none for an empty drive.
    pub(super) top: Option<String>,
    /// Whether its tray is open.
    pub(super) open: bool,
}

/// Whether the machine has a device with this id.
///
/// # Errors
/// What the monitor answers; an answer that is none.
pub(super) fn has(monitor: &Monitor, id: &str) -> Result<bool, Error> {
    Ok(children(monitor, "/machine/peripheral")?.iter().any(|name| name == id))
}

/// The names of what lies beneath a path of the machine.
///
/// # Errors
/// What the monitor answers; an answer that is none.
pub(super) fn children(monitor: &Monitor, path: &str) -> Result<Vec<String>, Error> {
    let asked = Command::new("qom-list").with("path", path);
    let answer = monitor.run_all(&[asked]).pop().unwrap_or_else(|| Err(unreadable("qom-list")))?;
    Ok(members(&answer, "qom-list")?.iter().filter_map(|child| text(child, "name")).collect())
}

/// The names of all block nodes.
///
/// # Errors
/// What the monitor answers; an answer that is none.
pub(super) fn nodes(monitor: &Monitor) -> Result<Vec<String>, Error> {
    let answer = monitor.run("query-named-block-nodes")?;
    Ok(members(&answer, "query-named-block-nodes")?
        .iter()
        .filter_map(|node| text(node, "node-name"))
        .collect())
}

/// All drives and disks, each with the path or the id of its device.
///
/// # Errors
/// What the monitor answers; an answer that is none.
pub(super) fn drives(monitor: &Monitor) -> Result<Vec<(String, Drive)>, Error> {
    let answer = monitor.run("query-block")?;
    let drives = members(&answer, "query-block")?;
    Ok(drives.iter().filter_map(|drive| Some((text(drive, "qdev")?, read(drive)))).collect())
}

/// The drive or disk of the device with this id.
///
/// # Errors
/// As [`drives`].
pub(super) fn drive(monitor: &Monitor, id: &str) -> Result<Option<Drive>, Error> {
    Ok(drives(monitor)?.into_iter().find(|(path, _)| is_of(path, id)).map(|(_, drive)| drive))
}

/// Whether a path, or an id, is that of the device with this id or of something in it.
pub(super) fn is_of(path: &str, id: &str) -> bool {
    path.split('/').any(|part| part == id)
}

fn read(drive: &Json) -> Drive {
    let flag = |name: &str| drive.get(name).and_then(Json::as_bool).unwrap_or(false);
    let top = drive.get("inserted").and_then(|inserted| text(inserted, "node-name"));
    Drive { top, open: flag("tray_open") }
}

fn text(value: &Json, name: &str) -> Option<String> {
    value.get(name)?.as_str().map(str::to_owned)
}

fn members(answer: &str, command: &str) -> Result<Vec<Json>, Error> {
    serde_json::from_str(answer).map_err(|_| unreadable(command))
}

fn unreadable(command: &str) -> Error {
    problem("qemu.answer-unreadable", format!("the hypervisor's answer to '{command}' is no list"))
        .hint("destroy the domain: its hypervisor does not behave like QEMU")
        .hypervisor()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drives_are_read_and_found_by_the_id_of_their_device() {
        let drive: Json = serde_json::from_str(
            r#"{"device":"","qdev":"/machine/peripheral/virtio-disk1/virtio-backend","removable":false,"inserted":{"node-name":"libvirt-3-format"},"locked":true,"tray_open":true}"#,
        )
        .unwrap();
        assert_eq!(read(&drive), Drive { top: Some("libvirt-3-format".into()), open: true });
        assert!(is_of("/machine/peripheral/virtio-disk1/virtio-backend", "virtio-disk1"));
        assert!(is_of("sata0-0-1", "sata0-0-1"));
        assert!(!is_of("/machine/peripheral/virtio-disk10/virtio-backend", "virtio-disk1"));
        assert!(members("{}", "query-block").is_err());
    }
}
