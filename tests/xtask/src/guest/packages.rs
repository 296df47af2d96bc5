//! The Debian packages a guest is made of: downloaded and unpacked, never installed.

use crate::setup::update_lists;
use crate::shell;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names the current kernel; it holds nothing itself.
const KERNEL_META: &str = "linux-image-cloud-amd64";

/// One unpacked package.
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    /// Its files.
    pub(super) tree: PathBuf,
}

/// The packages of a guest.
pub(super) struct Packages {
    pub(super) kernel: Package,
    /// The whole user space: one static program.
    pub(super) busybox: Package,
    /// The stub that makes kernel and initrd one UEFI program.
    pub(super) uefi_stub: Package,
    /// The guest agent, and what it loads.
    pub(super) agent: Vec<Package>,
}

/// Downloads the packages into `cache` unless they are there, and unpacks them below `work`.
pub(super) fn fetch(cache: &Path, work: &Path) -> Result<Packages> {
    fs::create_dir_all(cache).with_context(|| format!("cannot create {}", cache.display()))?;
    let kernel = kernel_package(cache)?;
    let get = |name: &str| unpack(name, &download(name, cache)?, work);
    Ok(Packages {
        kernel: get(&kernel)?,
        busybox: get("busybox-static")?,
        uefi_stub: get("systemd-boot-efi")?,
        agent: super::agent::PACKAGES.iter().map(|name| get(name)).collect::<Result<_>>()?,
    })
}

/// The kernel downloaded before, or the one that is current.
fn kernel_package(cache: &Path) -> Result<String> {
    for file in file_names(cache)? {
        if let Some((name, _)) = file.split_once('_')
            && name.starts_with("linux-image-")
        {
            return Ok(name.to_owned());
        }
    }
    if let Some(name) = current_kernel()? {
        return Ok(name);
    }
    update_lists()?;
    current_kernel()?.with_context(|| format!("no package {KERNEL_META} in the package lists"))
}

fn current_kernel() -> Result<Option<String>> {
    let depends = shell::read(Command::new("apt-cache").env("LC_ALL", "C").args(["depends", KERNEL_META]));
    // An unknown package is an error of apt-cache: the lists are missing then.
    let depends = depends.unwrap_or_default();
    Ok(depends.lines().find_map(|line| line.trim().strip_prefix("Depends: ")).map(str::to_owned))
}

/// The package's file in the cache.
fn download(name: &str, cache: &Path) -> Result<PathBuf> {
    if let Some(file) = cached(name, cache)? {
        return Ok(file);
    }
    shell::step(format!("downloading {name}"));
    if fetch_one(name, cache).is_err() {
        update_lists()?;
        fetch_one(name, cache)?;
    }
    cached(name, cache)?.with_context(|| format!("apt-get downloaded no file for {name}"))
}

fn fetch_one(name: &str, cache: &Path) -> Result<()> {
    // The sandbox user of apt may not write here; the packages are verified all the same.
    let mut command = Command::new("apt-get");
    command.current_dir(cache).args(["--quiet", "-o", "APT::Sandbox::User=root", "download", name]);
    shell::read(&mut command).map(drop)
}

fn cached(name: &str, cache: &Path) -> Result<Option<PathBuf>> {
    let prefix = format!("{name}_");
    let mut found = file_names(cache)?;
    found.retain(|file| file.starts_with(&prefix) && file.ends_with(".deb"));
    found.sort();
    Ok(found.pop().map(|file| cache.join(file)))
}

fn file_names(directory: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

fn unpack(name: &str, file: &Path, work: &Path) -> Result<Package> {
    let tree = work.join("trees").join(name);
    fs::create_dir_all(&tree)?;
    shell::read(Command::new("dpkg-deb").arg("-x").arg(file).arg(&tree))?;
    let version = shell::read(Command::new("dpkg-deb").arg("-f").arg(file).arg("Version"))?;
    if version.trim().is_empty() {
        bail!("{} has no version", file.display());
    }
    Ok(Package { name: name.to_owned(), version: version.trim().to_owned(), tree })
}
