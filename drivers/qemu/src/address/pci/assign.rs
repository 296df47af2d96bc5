//! Giving every PCI device a place: once on trial to learn which buses are needed, then for good.

use std::collections::BTreeMap;

use hostler_sdk::domain::NodeId;
use hostler_sdk::domain::address::{Address, PciAddress};
use hostler_sdk::{Error, ProblemExt};

use super::bus::Bus;
use super::bus_set::{BusSet, MAX_BUSES};
use super::connect::{Ask, BusModel, Plug};
use super::refuse::{refuse, refuse_given};
use super::requests::{Resident, Role, residents};
use super::{fixed, settings};
use crate::complete::controllers;
use crate::complete::draft::Draft;
use crate::machine::MachineKind;

/// Chooses every PCI place that the document leaves open, and adds the controllers needed for it.
///
/// # Errors
/// A place is taken twice, does not suit its device, or there is none left.
pub(crate) fn assign(draft: &mut Draft) -> Result<(), Error> {
    let wanting = residents(draft)?;
    if draft.machine.pci_root().is_none() {
        return refuse_without_pci(draft, &wanting);
    }
    let count = trial(draft, &wanting)?;
    let residents = residents(draft)?;
    let mut layout = Layout::new(draft, &residents, count, false)?;
    layout.serve(draft, &residents)?;
    layout.write(draft, &residents)?;
    settings::fill(draft)
}

/// Finds out which buses are needed and adds their controllers; says how many there are then.
fn trial(draft: &mut Draft, residents: &[Resident]) -> Result<usize, Error> {
    let known = known_buses(draft)?;
    let mut layout = Layout::new(draft, residents, known, true)?;
    let express = draft.machine.is_express();
    // One slot stays free on a conventional machine, for the bridge that lets it grow later.
    if !express && !layout.buses.is_full() {
        layout.spare(draft, Ask::cold(Plug::Pci))?;
    }
    layout.serve(draft, residents)?;
    // Who leaves controllers to the driver gets one free port to plug something into.
    if express && known <= 1 && layout.buses.len() > known {
        layout.spare(draft, Ask::hot(Plug::Express))?;
    }
    let mut index = 1;
    while let Some(model) = layout.buses.model(index) {
        let number = u32::try_from(index).unwrap_or(u32::MAX);
        if controllers::find(draft, "pci", number).is_none() {
            let node = controllers::add(draft, "pci", number, Some(model.as_str()))?;
            if let Some(plug) = Plug::of_controller(model.as_str()) {
                let taken = layout.buses.take_next(Ask::cold(plug), 0);
                taken.map_err(|refusal| refuse(draft, node, plug, &refusal))?;
            }
        }
        index += 1;
    }
    Ok(layout.buses.len())
}

/// How many buses the controllers of the document make.
fn known_buses(draft: &Draft) -> Result<usize, Error> {
    let mut count = 1;
    for controller in controllers::listed(draft).iter().filter(|controller| controller.kind == "pci") {
        let index = controller.index.and_then(|index| usize::try_from(index).ok()).unwrap_or(0);
        if index >= MAX_BUSES {
            return Err(draft
                .refuse(
                    controller.node,
                    "qemu.controller-index",
                    format!("PCI controller index {index} is too high"),
                )
                .hint(format!("use an index below {MAX_BUSES}"))
                .invalid());
        }
        count = count.max(index + 1);
    }
    Ok(count)
}

fn refuse_without_pci(draft: &Draft, residents: &[Resident]) -> Result<(), Error> {
    let root = controllers::listed(draft).into_iter().find(|controller| controller.kind == "pci");
    // What a microvm can have instead of PCI is virtio on memory windows.
    let windows = draft.machine.kind == MachineKind::Microvm;
    let refused = |resident: &&Resident| !windows || resident.given.is_some() || resident.plug == Plug::Pci;
    let resident = residents.iter().find(refused).map(|resident| resident.node);
    let Some(node) = root.map(|root| root.node).or(resident) else { return Ok(()) };
    Err(draft
        .refuse(node, "qemu.pci-absent", "this device needs PCI, which this machine does not have")
        .hint("choose a machine with PCI, such as 'q35', or leave the device out")
        .unsupported())
}

/// Places as they are handed out.
pub(super) struct Layout {
    /// The buses.
    pub(super) buses: BusSet,
    places: BTreeMap<NodeId, PciAddress>,
}

impl Layout {
    /// The buses of the document, with the places that it gives and those that the machine fixes.
    fn new(draft: &Draft, residents: &[Resident], count: usize, growing: bool) -> Result<Self, Error> {
        let buses = BusSet::new(buses(draft, count), growing);
        let mut layout = Self { buses, places: BTreeMap::new() };
        for resident in residents {
            if let Some(place) = resident.given {
                layout.claim(draft, residents, resident, place)?;
            }
        }
        fixed::take(draft, residents, &mut layout)?;
        Ok(layout)
    }

    /// Whether a device has no place yet.
    pub(super) fn is_open(&self, resident: &Resident) -> bool {
        resident.given.is_none() && !self.places.contains_key(&resident.node)
    }

    /// Notes the place of a device; it is taken already.
    pub(super) fn put(&mut self, resident: &Resident, place: PciAddress) {
        self.places.insert(resident.node, place);
    }

    /// Puts a device at a place.
    pub(super) fn take_at(
        &mut self,
        draft: &Draft,
        residents: &[Resident],
        resident: &Resident,
        place: PciAddress,
    ) -> Result<(), Error> {
        self.claim(draft, residents, resident, place)?;
        self.put(resident, place);
        Ok(())
    }

    /// Puts a device at the first place that suits it.
    pub(super) fn take_next(&mut self, draft: &Draft, resident: &Resident) -> Result<(), Error> {
        let function = match resident.role {
            Role::Ich9Usb { function, .. } => function,
            _ => 0,
        };
        let taken = self.buses.take_next(Ask::cold(resident.plug), function);
        let place = taken.map_err(|refusal| refuse(draft, resident.node, resident.plug, &refusal))?;
        self.put(resident, place);
        Ok(())
    }

    /// The device that has a place.
    pub(super) fn holder(&self, residents: &[Resident], place: &PciAddress) -> Option<NodeId> {
        let same = |other: PciAddress| PciAddress { multifunction: None, ..other } == *place;
        residents
            .iter()
            .find(|resident| self.place_of(resident).is_some_and(same))
            .map(|resident| resident.node)
    }

    fn place_of(&self, resident: &Resident) -> Option<PciAddress> {
        resident.given.or_else(|| self.places.get(&resident.node).copied())
    }

    fn claim(
        &mut self,
        draft: &Draft,
        residents: &[Resident],
        resident: &Resident,
        place: PciAddress,
    ) -> Result<(), Error> {
        self.buses.take_given(&place, Ask::cold(resident.plug)).map_err(|refusal| {
            let others: Vec<_> =
                residents.iter().filter(|other| other.node != resident.node).cloned().collect();
            let holder = self.holder(&others, &PciAddress { multifunction: None, ..place });
            refuse_given(draft, resident, place, holder, &refusal)
        })
    }

    fn spare(&mut self, draft: &Draft, ask: Ask) -> Result<(), Error> {
        let taken = self.buses.take_next(ask, 0);
        taken.map(drop).map_err(|refusal| refuse(draft, draft.root(), ask.plug, &refusal))
    }

    /// Gives everybody else a place, in order.
    fn serve(&mut self, draft: &Draft, residents: &[Resident]) -> Result<(), Error> {
        for resident in residents {
            if !self.is_open(resident) {
                continue;
            }
            match self.companion_place(residents, resident) {
                Some(place) => self.take_at(draft, residents, resident, place)?,
                None => self.take_next(draft, resident)?,
            }
        }
        Ok(())
    }

    /// The place in the slot that another function of the same USB controller already has.
    fn companion_place(&self, residents: &[Resident], resident: &Resident) -> Option<PciAddress> {
        let Role::Ich9Usb { group, function } = resident.role else { return None };
        residents.iter().find_map(|other| match other.role {
            Role::Ich9Usb { group: theirs, .. } if theirs == group => {
                self.place_of(other).map(|place| PciAddress { function, multifunction: None, ..place })
            }
            _ => None,
        })
    }

    /// Writes the places, and says which slots have more functions than one.
    fn write(&self, draft: &mut Draft, residents: &[Resident]) -> Result<(), Error> {
        let all: Vec<_> = residents.iter().filter_map(|resident| self.place_of(resident)).collect();
        for resident in residents {
            let Some(mut place) = self.place_of(resident) else { continue };
            let slot = |place: &PciAddress| (place.domain, place.bus, place.slot);
            let shared = all.iter().any(|other| slot(other) == slot(&place) && other.function != 0);
            let first_usb =
                matches!(resident.role, Role::Ich9Usb { function: 0, .. }) && resident.given.is_none();
            if place.function == 0 && place.multifunction.is_none() && (shared || first_usb) {
                place.multifunction = Some(true);
            }
            if resident.given != Some(place) {
                write_place(draft, resident, place)?;
            }
        }
        Ok(())
    }
}

fn write_place(draft: &mut Draft, resident: &Resident, place: PciAddress) -> Result<(), Error> {
    match (resident.given, draft.child(resident.node, "address")) {
        // Only the word on functions is missing: the rest stays as it was spelt.
        (Some(_), Some(address)) => draft.fill(address, "multifunction", "on"),
        _ => draft.set_place(resident.node, &Address::Pci(place)),
    }
}

/// The buses of the document's controllers; where one is missing, the usual one for the machine.
fn buses(draft: &Draft, count: usize) -> Vec<Bus> {
    let root = draft.machine.pci_root().and_then(BusModel::of).unwrap_or(BusModel::PciRoot);
    let usual = if draft.machine.is_express() { BusModel::RootPort } else { BusModel::PciBridge };
    let mut buses: Vec<_> = (0..count).map(|index| Bus::new(if index == 0 { root } else { usual })).collect();
    for controller in controllers::listed(draft).iter().filter(|controller| controller.kind == "pci") {
        let index = controller.index.and_then(|index| usize::try_from(index).ok());
        let slot = index.and_then(|index| buses.get_mut(index));
        if let (Some(slot), Some(model)) = (slot, BusModel::of(&controller.model)) {
            let bus = Bus::new(model);
            let hotplug = draft.child_get(controller.node, "target", "hotplug") != Some("off");
            *slot = if hotplug { bus } else { bus.without_hotplug() };
        }
    }
    buses
}
