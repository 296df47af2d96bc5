//! QEMU's guest agent with its libraries, as an archive that is put behind the initrd of a guest that is to have it.

use super::archive::Archive;
use super::initrd;
use super::packages::Package;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// The packages that have its parts.
pub(super) const PACKAGES: &[&str] =
    &["qemu-guest-agent", "libc6", "libglib2.0-0", "libnuma1", "libpcre2-8-0", "libudev1", "liburing2"];
/// What it loads, beside its loader.
const LIBRARIES: &[&str] = &[
    "libc.so.6",
    "libglib-2.0.so.0",
    "libgmodule-2.0.so.0",
    "libm.so.6",
    "libnuma.so.1",
    "libpcre2-8.so.0",
    "libudev.so.1",
    "liburing.so.2",
];
/// The program that starts it.
const LOADER: &str = "ld-linux-x86-64.so.2";
/// What the agent runs to switch the guest off or to begin again.
const SHUTDOWN: &str = include_str!("agent-shutdown.sh");

/// The users of the guest: whose keys the agent can be asked for.
const USERS: &str = "root:x:0:0:root:/root:/bin/sh\n";

/// Writes the compressed archive.
pub(super) fn write(path: &Path, packages: &[Package]) -> Result<()> {
    let mut archive = Archive::default();
    ["lib64", "lib", "sbin", "etc", "root"].iter().try_for_each(|directory| archive.directory(directory))?;
    archive.program("sbin/qemu-ga", &find(packages, "qemu-ga")?)?;
    archive.program("sbin/shutdown", SHUTDOWN.as_bytes())?;
    archive.file("etc/passwd", USERS.as_bytes())?;
    archive.program(&format!("lib64/{LOADER}"), &find(packages, LOADER)?)?;
    for library in LIBRARIES {
        archive.program(&format!("lib/{library}"), &find(packages, library)?)?;
    }
    initrd::pack(path, archive)
}

/// A file of one of the packages, links followed.
fn find(packages: &[Package], name: &str) -> Result<Vec<u8>> {
    let places = ["usr/sbin", "lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"];
    let mut paths =
        packages.iter().flat_map(|package| places.map(|place| package.tree.join(place).join(name)));
    let found: PathBuf =
        paths.find(|path| path.is_file()).with_context(|| format!("no package has the file {name}"))?;
    fs::read(&found).with_context(|| format!("cannot read {}", found.display()))
}
