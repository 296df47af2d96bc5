//! Memory that guests share, smartcards, and what is for other machines.

use hostler_sdk::domain::shmem::ShmemModel;

use super::{Broken, Rule, Subject, broken};

pub(super) const RULES: &[Rule] = &[doorbells, smartcards, variables];

/// Who rings a doorbell is a server's to know.
fn doorbells(subject: &Subject<'_>) -> Option<Broken> {
    subject.domain.devices.shmems.iter().find_map(|shmem| {
        let (what, remedy) = match (shmem.model, &shmem.server) {
            (Some(ShmemModel::IvshmemDoorbell), None) => (
                "model 'ivshmem-doorbell' goes with a server",
                "add <server path='…'/>, or write model='ivshmem-plain'",
            ),
            (Some(ShmemModel::IvshmemPlain), Some(_)) => {
                ("model 'ivshmem-plain' has no server", "remove <server>, or write model='ivshmem-doorbell'")
            }
            (_, None) if shmem.msi.is_some() => {
                ("interrupts between guests come from a server", "add <server>, or remove <msi>")
            }
            _ => return None,
        };
        broken(shmem.node, "qemu.shmem", what, remedy)
    })
}

fn smartcards(subject: &Subject<'_>) -> Option<Broken> {
    let second = subject.domain.devices.smartcards.get(1)?;
    let what = "a domain has one smartcard at most";
    broken(second.node, "qemu.smartcard", what, "remove it")
}

/// Memory for the variables of firmware is a device of other machines.
fn variables(subject: &Subject<'_>) -> Option<Broken> {
    let document = subject.document();
    let nvram = document.child(subject.domain.devices.node?, "nvram")?;
    (!subject.arch.starts_with("ppc64")).then_some(())?;
    broken(
        nvram,
        "qemu.nvram-device",
        "only pseries machines have a device <nvram>",
        "write <os><nvram>, or remove it",
    )
}
