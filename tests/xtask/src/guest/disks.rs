//! The guests' disks: a small ext4 one with a marker, and one that UEFI firmware boots.

use crate::shell;
use anyhow::{Context, Result, ensure};
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

/// Size of the ext4 disk.
const BASE_BYTES: u64 = 16 << 20;
/// What its file `marker` says; the guest repeats it on the console.
const MARKER: &str = "hostler-base-1\n";
/// The same in every build, so that the disk is.
const BASE_UUID: &str = "0f4d8f62-9a1e-4c57-8a43-6a1c0e5b7d11";
/// The command line of the kernel within the UEFI program.
const COMMAND_LINE: &str = "console=ttyS0 quiet panic=-1 hostler.id=uefi";
/// Where the parts lie in memory; the stub itself ends below, the kernel has 32 MiB.
const PARTS: &[(&str, &str, u64)] = &[
    (".osrel", "os-release", 0x0002_0000),
    (".cmdline", "command-line", 0x0003_0000),
    (".linux", "vmlinuz", 0x0200_0000),
    (".initrd", "initrd.gz", 0x0400_0000),
];

/// Writes `base.raw`: ext4 with the marker.
pub(super) fn write_base(work: &Path) -> Result<()> {
    let content = work.join("base");
    fs::create_dir_all(&content)?;
    fs::write(content.join("marker"), MARKER)?;
    let disk = work.join("base.raw");
    File::create(&disk)?.set_len(BASE_BYTES)?;
    let mut mke2fs = Command::new("/sbin/mke2fs");
    mke2fs.args(["-q", "-F", "-t", "ext4", "-m", "0", "-U", BASE_UUID, "-d"]).arg(&content).arg(&disk);
    shell::read(&mut mke2fs).map(drop)
}

/// Writes `uefi.qcow2`: a FAT disk whose boot program is stub, command line, kernel and initrd in one.
pub(super) fn write_uefi(work: &Path, stub_tree: &Path) -> Result<()> {
    let stub = stub_tree.join("usr/lib/systemd/boot/efi/linuxx64.efi.stub");
    ensure!(stub.is_file(), "the package systemd-boot-efi has no {}", stub.display());
    fs::write(work.join("os-release"), "ID=hostler-guest\nNAME=\"hostler test guest\"\n")?;
    fs::write(work.join("command-line"), COMMAND_LINE)?;
    let files = work.join("esp");
    let boot = files.join("EFI/BOOT");
    fs::create_dir_all(&boot)?;
    let mut objcopy = Command::new("objcopy");
    for (section, file, address) in PARTS {
        let part = work.join(file);
        objcopy.arg("--add-section").arg(format!("{section}={}", part.display()));
        objcopy.arg("--change-section-vma").arg(format!("{section}={address:#x}"));
    }
    shell::read(objcopy.arg(stub).arg(boot.join("BOOTX64.EFI")))?;
    // QEMU shows a directory as a partitioned FAT disk: no mount, no loop device, no root.
    let source = format!("fat:16:{}", files.display());
    let mut convert = Command::new("qemu-img");
    convert.args(["convert", "-q", "-f", "vvfat", "-O", "qcow2", &source]).arg(work.join("uefi.qcow2"));
    shell::read(&mut convert).map(drop).context("cannot make the UEFI disk")
}
