//! The filter node above a chain that copies up what is read.

use hostler_sdk::Value;
use hostler_sdk::domain::disk::Disk;

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
