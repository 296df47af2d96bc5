//! Places that the chipset fixes, or that real hardware has made customary.

use hostler_sdk::domain::address::PciAddress;
use hostler_sdk::{Error, ProblemExt};

use super::assign::Layout;
use super::connect::{Ask, Plug};
use super::requests::{Resident, Role};
use crate::complete::draft::Draft;
use crate::machine::MachineKind;

/// IDE controller 0 of PIIX3.
const PIIX3_IDE: (u8, u8) = (1, 1);
/// USB controller 0 of PIIX3.
const PIIX3_USB: (u8, u8) = (1, 2);
/// What PIIX3 has in its slot besides: the ISA bridge and power management.
const PIIX3_OTHERS: [(u8, u8); 2] = [(1, 0), (1, 3)];
/// SATA controller 0 of ICH9.
const ICH9_SATA: (u8, u8) = (0x1f, 2);
/// What ICH9 has in that slot besides: the ISA bridge and SMBus.
const ICH9_OTHERS: [(u8, u8); 2] = [(0x1f, 0), (0x1f, 3)];
/// The slot of the first video device.
const I440FX_VIDEO: u8 = 2;
const Q35_VIDEO: u8 = 1;
/// The customary slots of ICH9 on real hardware.
const ICH9_USB: [u8; 2] = [0x1d, 0x1a];
const ICH9_DMI: u8 = 0x1e;
const ICH9_SOUND: u8 = 0x1b;

/// Takes the fixed and the customary places.
pub(super) fn take(draft: &Draft, residents: &[Resident], layout: &mut Layout) -> Result<(), Error> {
    match draft.machine.kind {
        MachineKind::I440fx => i440fx(draft, residents, layout),
        MachineKind::Q35 => q35(draft, residents, layout),
        MachineKind::Microvm | MachineKind::Isa | MachineKind::Other => Ok(()),
    }
}

fn i440fx(draft: &Draft, residents: &[Resident], layout: &mut Layout) -> Result<(), Error> {
    builtin(draft, residents, layout, Role::PrimaryIde, PIIX3_IDE)?;
    builtin(draft, residents, layout, Role::PrimaryUsb, PIIX3_USB)?;
    chipset(draft, residents, layout, &PIIX3_OTHERS)?;
    primary_video(draft, residents, layout, I440FX_VIDEO)
}

fn q35(draft: &Draft, residents: &[Resident], layout: &mut Layout) -> Result<(), Error> {
    builtin(draft, residents, layout, Role::PrimarySata, ICH9_SATA)?;
    for resident in residents {
        match resident.role {
            _ if !layout.is_open(resident) => {}
            Role::Ich9Usb { function: 0, .. } => customary(layout, resident, &ICH9_USB),
            Role::DmiBridge => customary(layout, resident, &[ICH9_DMI]),
            _ => {}
        }
    }
    chipset(draft, residents, layout, &ICH9_OTHERS)?;
    primary_video(draft, residents, layout, Q35_VIDEO)?;
    let sound =
        residents.iter().find(|resident| resident.role == Role::Ich9Sound && layout.is_open(resident));
    if let Some(sound) = sound {
        customary(layout, sound, &[ICH9_SOUND]);
    }
    Ok(())
}

/// A controller that is part of the machine: its place cannot be chosen.
fn builtin(
    draft: &Draft,
    residents: &[Resident],
    layout: &mut Layout,
    role: Role,
    place: (u8, u8),
) -> Result<(), Error> {
    let place = PciAddress::new(0, place.0, place.1);
    let Some(resident) = residents.iter().find(|resident| resident.role == role) else {
        return chipset(draft, residents, layout, &[(place.slot, place.function)]);
    };
    match resident.given {
        None => layout.take_at(draft, residents, resident, place),
        Some(given) if PciAddress { multifunction: None, ..given } == place => Ok(()),
        Some(given) => Err(draft
            .refuse(
                resident.node,
                "qemu.address-fixed",
                format!("this controller is part of the machine at PCI address {place}, not at {given}"),
            )
            .hint(format!("leave its address out, or write {place}"))
            .unsupported()),
    }
}

/// Functions of the chipset that no element of the document stands for.
fn chipset(
    draft: &Draft,
    residents: &[Resident],
    layout: &mut Layout,
    places: &[(u8, u8)],
) -> Result<(), Error> {
    for (slot, function) in places {
        let place = PciAddress::new(0, *slot, *function);
        if !layout.buses.is_taken(&place) {
            // A machine without PCI buses has nothing to keep free.
            layout.buses.take_given(&place, Ask::cold(Plug::Pci)).ok();
            continue;
        }
        let message = format!("PCI address {place} belongs to the chipset of this machine");
        let node = layout.holder(residents, &place).unwrap_or(draft.root());
        return Err(draft
            .refuse(node, "qemu.address-fixed", message)
            .hint("give the device another slot, or leave its address out")
            .invalid());
    }
    Ok(())
}

/// Firmware and guests look for the screen in this slot first; another one works too.
fn primary_video(draft: &Draft, residents: &[Resident], layout: &mut Layout, slot: u8) -> Result<(), Error> {
    let video = residents.iter().find(|resident| resident.role == Role::PrimaryVideo);
    match video {
        Some(video) if layout.is_open(video) && !layout.buses.is_root_slot_taken(slot) => {
            layout.take_at(draft, residents, video, PciAddress::new(0, slot, 0))
        }
        Some(video) if layout.is_open(video) => layout.take_next(draft, video),
        _ => Ok(()),
    }
}

/// Takes the first of these slots of bus 0 that is free; leaves the device open when none is.
fn customary(layout: &mut Layout, resident: &Resident, slots: &[u8]) {
    let Some(slot) = slots.iter().copied().find(|slot| !layout.buses.is_root_slot_taken(*slot)) else {
        return;
    };
    let place = PciAddress::new(0, slot, 0);
    if layout.buses.take_given(&place, Ask::cold(resident.plug)).is_ok() {
        layout.put(resident, place);
    }
}
