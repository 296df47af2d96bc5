//! Filter nodes above a chain: what is read is copied up, and how much is read and written is limited.

use hostler_sdk::Value;
use hostler_sdk::domain::disk::{Disk, IoLimits, IoTune};

/// The name of the node that copies up what a disk reads from below.
pub(crate) fn copy_on_read_name(disk: &Disk) -> String {
    format!("libvirt-CoR-{}", disk.target)
}

/// The node that copies up what is read from below.
pub(crate) fn copy_on_read(name: &str, file: &str) -> Value {
    Value::mapping()
        .with("driver", "copy-on-read")
        .with("node-name", name)
        .with("file", file)
        .with("discard", "unmap")
}

/// The node that limits I/O as a group says.
pub(crate) fn throttle(name: &str, group: &str, file: &str) -> Value {
    Value::mapping()
        .with("driver", "throttle")
        .with("node-name", name)
        .with("throttle-group", group)
        .with("file", file)
}

/// The id of the group of a disk: disks that name a group share its limits.
pub(crate) fn group_id(disk: &Disk, tune: &IoTune) -> String {
    match &tune.group_name {
        Some(name) => format!("throttle-group-{name}"),
        None => format!("throttle-drive-{}", disk.target),
    }
}

/// The object that holds a group's limits (QAPI `ThrottleLimits`).
pub(crate) fn group(id: &str, tune: &IoTune) -> Value {
    let mut limits = Value::mapping();
    for (name, suffix, values) in [
        ("bps", "", tune.bytes_sec),
        ("bps", "-max", tune.bytes_sec_max),
        ("bps", "-max-length", tune.bytes_sec_max_length),
        ("iops", "", tune.iops_sec),
        ("iops", "-max", tune.iops_sec_max),
        ("iops", "-max-length", tune.iops_sec_max_length),
    ] {
        add(&mut limits, name, suffix, values);
    }
    if let Some(size) = tune.size_iops_sec.filter(|size| *size > 0) {
        limits.set("iops-size", size);
    }
    Value::mapping().with("qom-type", "throttle-group").with("id", id).with("limits", limits)
}

/// The same for a group that is there: every limit is said, so that none of those before stays.
pub(crate) fn all_limits(tune: &IoTune) -> Value {
    let mut limits = Value::mapping();
    for (name, suffix, values, none) in [
        ("bps", "", tune.bytes_sec, 0),
        ("bps", "-max", tune.bytes_sec_max, 0),
        ("bps", "-max-length", tune.bytes_sec_max_length, 1),
        ("iops", "", tune.iops_sec, 0),
        ("iops", "-max", tune.iops_sec_max, 0),
        ("iops", "-max-length", tune.iops_sec_max_length, 1),
    ] {
        for (direction, value) in [("total", values.total), ("read", values.read), ("write", values.write)] {
            limits.set(&format!("{name}-{direction}{suffix}"), value.unwrap_or(none).max(none));
        }
    }
    limits.set("iops-size", tune.size_iops_sec.unwrap_or(0));
    limits
}

fn add(limits: &mut Value, name: &str, suffix: &str, values: IoLimits) {
    for (direction, value) in [("total", values.total), ("read", values.read), ("write", values.write)] {
        // 0 is no limit, and a burst of no length is none.
        if let Some(value) = value.filter(|value| *value > 0) {
            limits.set(&format!("{name}-{direction}{suffix}"), value);
        }
    }
}
