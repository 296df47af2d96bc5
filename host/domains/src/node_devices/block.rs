//! Disks.

use std::path::Path;

use hostler_domain::Fragment;

use super::Found;
use super::sysfs::{devices, fact, link, number, plain};

/// Bytes of what sizes are told in, whatever the blocks of a disk have.
const SECTOR: u64 = 512;

pub(super) fn found(sys: &Path) -> Vec<Found> {
    // What stands on no device (loops, memory) is not a device of the machine.
    let all = devices(&sys.join("block")).into_iter().filter(|(_, path)| path.join("device").exists());
    all.map(|(name, path)| one(&name, &path)).collect()
}

fn one(name: &str, path: &Path) -> Found {
    let text = |element: &str, value: &str| Fragment::new(element).text(value);
    let told = |element: &str, file: &str| fact(path, file).map(|value| text(element, &value));
    let node = format!("/dev/{name}");
    let serial = fact(path, "serial").or_else(|| fact(path, "device/serial"));
    let block = number(path, "queue/logical_block_size").unwrap_or(SECTOR);
    let size = number(path, "size").unwrap_or(0).saturating_mul(SECTOR);
    let kind = if name.starts_with("sr") { "cdrom" } else { "disk" };
    let disk = Fragment::new("capability")
        .attribute("type", "storage")
        .child(text("block", &node))
        .child(text("drive_type", kind))
        .maybe_child(told("model", "device/model"))
        .maybe_child(told("vendor", "device/vendor"))
        .maybe_child(serial.as_deref().map(|serial| text("serial", serial)));
    let sizes = [
        ("size", size),
        ("logical_block_size", block),
        ("num_blocks", size.checked_div(block).unwrap_or_default()),
    ];
    let capability = if number(path, "removable") == Some(1) {
        let medium = Fragment::new("capability")
            .attribute("type", "removable")
            .child(text("media_available", if size > 0 { "1" } else { "0" }))
            .child(Fragment::new("media_size").text(size));
        disk.child(medium)
    } else {
        sizes.iter().fold(disk, |disk, (name, value)| disk.child(Fragment::new(name).text(value)))
    };
    let suffix = serial.map(|serial| format!("_{}", plain(&serial))).unwrap_or_default();
    Found {
        name: format!("block_{}{suffix}", plain(name)),
        path: path.to_owned(),
        driver: link(path, "device/driver"),
        node: Some(node),
        kind: "storage",
        capability,
    }
}
