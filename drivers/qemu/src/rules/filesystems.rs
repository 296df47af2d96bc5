//! Directories of the host inside the guest.

use hostler_sdk::domain::Domain;
use hostler_sdk::domain::cpu::MemoryAccess;
use hostler_sdk::domain::filesystem::{AccessMode, FilesystemDriver};

use super::{Broken, Rule, Subject, broken};

pub(super) const RULES: &[Rule] = &[virtiofs, plan9];

/// Longest name by which a guest finds a virtiofs filesystem, in bytes: the device has room for no more.
const TAG_BYTES: usize = 36;

/// Whether another process can be given the guest's memory.
fn is_shared(domain: &Domain) -> bool {
    let backing = &domain.memory_backing;
    let all = backing.access == Some(MemoryAccess::Shared);
    let cells = domain.cpu.as_ref().map(|cpu| cpu.numa.as_slice()).unwrap_or_default();
    let each = !cells.is_empty() && cells.iter().all(|cell| cell.access == Some(MemoryAccess::Shared));
    all || each
}

fn virtiofs(subject: &Subject<'_>) -> Option<Broken> {
    let mut all = subject.domain.devices.filesystems.iter();
    all.find_map(|filesystem| {
        (filesystem.driver == Some(FilesystemDriver::Virtiofs)).then_some(())?;
        let (child, what, remedy) = if filesystem.readonly {
            ("readonly", "virtiofs cannot be read-only", "remove <readonly/>, or write <driver type='path'/>")
        } else if filesystem.access_mode.is_some_and(|mode| mode != AccessMode::Passthrough) {
            ("driver", "virtiofs passes access through and nothing else", "write accessmode='passthrough'")
        } else if filesystem.write_policy.is_some() {
            ("driver", "virtiofs has no write policy", "remove 'wrpolicy'")
        } else if filesystem.fmode.is_some() || filesystem.dmode.is_some() {
            ("driver", "virtiofs has no modes for new files", "remove 'fmode' and 'dmode'")
        } else if filesystem.target.len() > TAG_BYTES {
            (
                "target",
                "the tag of a virtiofs filesystem has at most 36 bytes",
                "write a shorter <target dir='…'/>",
            )
        } else if !is_shared(subject.domain) {
            (
                "driver",
                "virtiofs needs memory that another process can see",
                "add <memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>",
            )
        } else {
            return None;
        };
        broken(subject.within(filesystem.node, child), "qemu.filesystem-virtiofs", what, remedy)
    })
}

fn plan9(subject: &Subject<'_>) -> Option<Broken> {
    let mut all = subject.domain.devices.filesystems.iter();
    all.find_map(|filesystem| {
        let path =
            matches!(filesystem.driver, None | Some(FilesystemDriver::Path | FilesystemDriver::Handle));
        let modes = filesystem.fmode.is_some() || filesystem.dmode.is_some();
        let (child, what, remedy) = if path && filesystem.queue.is_some() {
            ("driver", "only virtiofs has a queue", "remove 'queue'")
        } else if path && modes && filesystem.access_mode != Some(AccessMode::Mapped) {
            (
                "",
                "modes of new files go with access that is mapped",
                "write accessmode='mapped', or remove 'fmode' and 'dmode'",
            )
        } else {
            return None;
        };
        broken(subject.within(filesystem.node, child), "qemu.filesystem", what, remedy)
    })
}
