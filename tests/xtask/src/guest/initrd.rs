//! The guest's first and only file system: busybox, modules and two scripts.

use super::archive::Archive;
use super::modules::Kernel;
use crate::shell;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Started by the kernel; everything the guest says is in it.
const INIT: &str = include_str!("init.sh");
/// Run when the power button is pressed.
const POWER: &str = include_str!("power.sh");
/// Where busybox looks for what to do at a power button.
const POWER_ACTION: &str = "etc/acpi/PWRF/00000080";

const DIRECTORIES: &[&str] = &[
    "bin",
    "dev",
    "proc",
    "sys",
    "run",
    "tmp",
    "mnt",
    "var",
    "var/run",
    "var/log",
    "etc",
    "etc/acpi",
    "etc/acpi/PWRF",
    "lib",
    "lib/modules",
];

/// Writes the compressed archive.
pub(super) fn write(path: &Path, kernel: &Kernel, busybox: &Path) -> Result<()> {
    let mut archive = Archive::default();
    DIRECTORIES.iter().try_for_each(|directory| archive.directory(directory))?;
    let program = fs::read(busybox).with_context(|| format!("cannot read {}", busybox.display()))?;
    archive.program("bin/busybox", &program)?;
    archive.program("init", INIT.as_bytes())?;
    archive.program(POWER_ACTION, POWER.as_bytes())?;
    add_modules(&mut archive, kernel)?;
    pack(path, archive)
}

/// Writes an archive, compressed.
pub(super) fn pack(path: &Path, archive: Archive) -> Result<()> {
    let plain = path.with_extension("cpio");
    fs::write(&plain, archive.finish()?).context("cannot write the initrd")?;
    let packed =
        Command::new("gzip").args(["-n", "-6", "-c"]).arg(&plain).output().context("cannot run gzip")?;
    anyhow::ensure!(packed.status.success(), "gzip failed: {}", String::from_utf8_lossy(&packed.stderr));
    fs::write(path, packed.stdout).context("cannot write the initrd")
}

fn add_modules(archive: &mut Archive, kernel: &Kernel) -> Result<()> {
    let selection = kernel.select()?;
    let directory = format!("lib/modules/{}", kernel.release);
    archive.directory(&directory)?;
    for file in &selection.files {
        let name = file.file_name().context("a module without a name")?.to_string_lossy().into_owned();
        archive.file(&format!("{directory}/{name}"), &fs::read(file)?)?;
    }
    shell::step(format!("{} kernel modules of {}", selection.files.len(), kernel.release));
    archive.file(&format!("{directory}/modules.dep"), selection.dependencies.as_bytes())?;
    archive.file(&format!("{directory}/modules.alias"), selection.aliases.as_bytes())
}
