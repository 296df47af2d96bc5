//! Whether the program works from where it is unpacked, without anything being said to it.

use super::guest;
use super::package::DRIVERS;
use crate::{demo, shell};
use anyhow::{Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Unpacks the package into an empty directory, and lets the program there find its drivers and its shim, and run a guest
/// with them. The directory goes again.
pub(super) fn prove(package: &Path, place: &Path, files: &Path) -> Result<()> {
    shell::read(Command::new("dpkg-deb").arg("--extract").arg(package).arg(place))?;
    let unpacked = Unpacked { place: place.to_owned() };
    unpacked.finds_its_drivers()?;
    let accelerator =
        demo::choose_accelerator(&serde_json::from_str(&unpacked.hostler(&["-o", "json", "doctor"])?)?)?;
    let disk = place.join("disk.qcow2");
    shell::read(Command::new("qemu-img").args(["create", "-q", "-f", "qcow2"]).arg(&disk).arg("16M"))?;
    let document = place.join("domain.xml");
    let (files, disk) = (files.to_string_lossy(), disk.to_string_lossy());
    fs::write(&document, demo::linux_guest(guest::NAME, accelerator, &files, &disk, ""))?;
    unpacked.hostler(&["define", &document.to_string_lossy()])?;
    unpacked.hostler(&["start", guest::NAME])?;
    let process = guest::process(&unpacked.hostler(&["-o", "json", "show", guest::NAME])?)?;
    let shim = unpacked.place.join("usr/lib/hostler/hostler-shim");
    let parent = parent_program(process)?;
    ensure!(parent == shim, "the guest is minded by {}, not by {}", parent.display(), shim.display());
    let wait = ["console", guest::NAME, "--until", demo::READY, "--timeout", guest::BOOT_SECONDS];
    unpacked.hostler(&wait)?;
    unpacked.hostler(&["shutdown", guest::NAME, "--wait"])?;
    unpacked.hostler(&["undefine", guest::NAME]).map(drop)
}

/// The program that a process was started by.
fn parent_program(process: u64) -> Result<PathBuf> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap_or_default().trim();
    Ok(fs::read_link(format!("/proc/{parent}/exe"))?)
}

/// The package's files; they and their guest go when this is dropped.
struct Unpacked {
    place: PathBuf,
}

impl Unpacked {
    fn hostler(&self, words: &[&str]) -> Result<String> {
        let mut command = Command::new(self.place.join("usr/bin/hostler"));
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        shell::read(command.arg("--state-dir").arg(self.place.join("state")).args(words))
    }

    fn finds_its_drivers(&self) -> Result<()> {
        let drivers = self.hostler(&["-o", "json", "driver", "list"])?;
        let place = self.place.join("usr/lib/hostler/drivers");
        for driver in DRIVERS {
            let file = place.join(format!("{driver}.wasm"));
            ensure!(
                drivers.contains(&*file.to_string_lossy()),
                "the package's program does not find {}: {drivers}",
                file.display()
            );
        }
        Ok(())
    }
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        // Only of a proof that failed there is a guest left.
        self.hostler(&["destroy", guest::NAME]).ok();
        if let Err(error) = fs::remove_dir_all(&self.place) {
            eprintln!("{} is left: {error}", self.place.display());
        }
    }
}
