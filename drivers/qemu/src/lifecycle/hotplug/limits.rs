//! Limits on what a disk reads and writes (QAPI `block_set_io_throttle`): a property of the device, so that they come and go
//! while its guest runs and whatever becomes of the nodes below.

use hostler_sdk::domain::Domain as Document;
use hostler_sdk::domain::disk::{Disk, IoTune};
use hostler_sdk::{Command, Error, Monitor, MonitorExt, ProblemExt, problem};

use super::machine;
use crate::alias::Aliases;

/// What gives all disks of a document their limits, as no option of the program says them; nothing where none has any.
///
/// # Errors
/// What the monitor answers; a machine without one of the disks.
pub(in crate::lifecycle) fn commands(
    monitor: &Monitor,
    document: &Document,
    aliases: &Aliases,
) -> Result<Vec<Command>, Error> {
    let limited: Vec<_> = document.devices.disks.iter().filter(|disk| disk.iotune.is_some()).collect();
    if limited.is_empty() {
        return Ok(Vec::new());
    }
    let drives = machine::drives(monitor)?;
    limited.iter().map(|disk| of_drive(&drives, aliases.get(disk.node).unwrap_or_default(), disk)).collect()
}

/// Has the disk with this id keep the limits that its element says: all of them, none where it says none.
///
/// # Errors
/// As for [`commands`].
pub(super) fn set(monitor: &Monitor, id: &str, disk: &Disk) -> Result<(), Error> {
    let command = of_drive(&machine::drives(monitor)?, id, disk)?;
    monitor.run_all(&[command]).pop().transpose().map(drop)
}

fn of_drive(drives: &[(String, machine::Drive)], id: &str, disk: &Disk) -> Result<Command, Error> {
    let found = drives.iter().find(|(path, _)| machine::is_of(path, id));
    let (path, _) = found.ok_or_else(|| {
        problem("qemu.no-disk", format!("the machine has no disk '{}' to limit", disk.target)).conflict()
    })?;
    Ok(command(path, disk))
}

fn command(path: &str, disk: &Disk) -> Command {
    let none = IoTune::default();
    let tune = disk.iotune.as_ref().unwrap_or(&none);
    let mut command = Command::new("block_set_io_throttle").with("id", path).with("group", group(disk, tune));
    for (name, suffix, values, least) in [
        ("bps", "", tune.bytes_sec, 0),
        ("bps", "_max", tune.bytes_sec_max, 0),
        ("bps", "_max_length", tune.bytes_sec_max_length, 1),
        ("iops", "", tune.iops_sec, 0),
        ("iops", "_max", tune.iops_sec_max, 0),
        ("iops", "_max_length", tune.iops_sec_max_length, 1),
    ] {
        for (direction, value) in [("", values.total), ("_rd", values.read), ("_wr", values.write)] {
            // Every limit is said, so that none of those before stays; 0 is none, and a burst lasts a second at least.
            let value = value.unwrap_or(least).max(least);
            command = command.with(&format!("{name}{direction}{suffix}"), value);
        }
    }
    command.with("iops_size", tune.size_iops_sec.unwrap_or(0))
}

/// What disks that share limits have in common, and no other disk has.
fn group(disk: &Disk, tune: &IoTune) -> String {
    match &tune.group_name {
        Some(name) => format!("throttle-group-{name}"),
        None => format!("throttle-drive-{}", disk.target),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_sdk::Value;

    fn said(tune: &str) -> Command {
        let document = Document::parse(&format!(
            "<domain type='qemu'><name>n</name><memory>65536</memory><os><type>hvm</type></os><devices>\
             <disk type='file'><source file='/a'/><target dev='vda' bus='virtio'/>{tune}</disk></devices></domain>"
        ))
        .unwrap();
        command("/machine/peripheral/virtio-disk0/virtio-backend", &document.devices.disks[0])
    }

    #[test]
    fn every_limit_is_said() {
        let command = said(
            "<iotune><read_bytes_sec>5</read_bytes_sec><read_bytes_sec_max>9</read_bytes_sec_max>\
             <write_iops_sec>0</write_iops_sec><group_name>gold</group_name></iotune>",
        );
        let arguments = command.arguments.unwrap();
        let has = |key: &str, value: Value| assert_eq!(arguments.get(key), Some(&value), "{key}");
        has("bps_rd", Value::from(5_u64));
        has("bps_rd_max", Value::from(9_u64));
        has("bps_rd_max_length", Value::from(1_u64));
        has("iops_wr", Value::from(0_u64));
        has("group", Value::from("throttle-group-gold"));
    }

    #[test]
    fn disk_without_limits_has_none_and_a_group_of_its_own() {
        let arguments = said("").arguments.unwrap();
        assert_eq!(arguments.get("bps"), Some(&Value::from(0_u64)));
        assert_eq!(arguments.get("group"), Some(&Value::from("throttle-drive-vda")));
    }
}
