//! A file system with little room, for what happens when there is none left.

use std::path::PathBuf;
use std::process::Command;

/// It is there until this is dropped; what is open on it stays open.
pub(crate) struct SmallFileSystem(PathBuf);

impl SmallFileSystem {
    /// Mounts one over a directory: `size` as tmpfs has it, such as `4m`.
    pub(crate) fn mount(place: PathBuf, size: &str) -> Self {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(&place);
        assert!(mount.status().unwrap().success(), "this test mounts a small file system, as root");
        Self(place)
    }
}

impl Drop for SmallFileSystem {
    fn drop(&mut self) {
        Command::new("umount").arg("--lazy").arg(&self.0).status().ok();
    }
}
