//! The domain that everything is done to: its only disk has a boot sector that halts, so that the guest is idle.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::place::output;

/// Its name.
pub(super) const NAME: &str = "daily";
/// `cli; hlt; jmp` back to the halt: a guest that runs and does nothing.
const HALT: [u8; 4] = [0xfa, 0xf4, 0xeb, 0xfd];
/// Bytes of the disk.
const SIZE: u64 = 64 << 20;

/// Whether KVM answers decides what the guest runs on, for all alike.
fn kind() -> &'static str {
    match hostler_launch::accelerator::probe_kvm().api_version {
        Some(_) => "kvm",
        None => "qemu",
    }
}

pub(super) fn describe() -> String {
    format!("q35, 64 MiB, {}, one qcow2 image", kind())
}

/// The directory, image and document of one actor.
pub(super) struct Scene {
    pub(super) directory: PathBuf,
    pub(super) image: PathBuf,
    pub(super) document: PathBuf,
}

impl Scene {
    pub(super) fn new(work: &Path, actor: &str) -> Result<Self> {
        let directory = work.join(format!("images-{actor}"));
        fs::create_dir(&directory)?;
        let (image, document) = (directory.join("disk.qcow2"), directory.join("domain.xml"));
        fs::write(&document, xml(&image))?;
        Ok(Self { directory, image, document })
    }

    /// A path in the actor's directory.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Makes the image anew, and removes whatever a round has left beside it.
    pub(super) fn prepare(&self) -> Result<()> {
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            if path != self.document {
                fs::remove_file(path)?;
            }
        }
        let raw = self.path("boot.raw");
        let mut sector = vec![0; 512];
        for (place, byte) in sector.iter_mut().zip(HALT) {
            *place = byte;
        }
        sector.splice(510.., [0x55, 0xaa]);
        fs::write(&raw, &sector)?;
        fs::File::options().write(true).open(&raw)?.set_len(SIZE)?;
        let mut convert = Command::new("qemu-img");
        output(convert.args(["convert", "-f", "raw", "-O", "qcow2"]).arg(&raw).arg(&self.image))?;
        fs::remove_file(raw)?;
        Ok(())
    }
}

fn xml(image: &Path) -> String {
    format!(
        "<domain type='{kind}'>
  <name>{NAME}</name>
  <memory unit='MiB'>64</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='{image}'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
  </devices>
</domain>
",
        kind = kind(),
        image = image.display()
    )
}
