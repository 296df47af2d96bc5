//! All PCI buses of a machine: taking the places the document gives, finding others, growing.

use hostler_sdk::domain::address::PciAddress;

use super::bus::Bus;
use super::connect::{Ask, BusModel, Plug};

/// Most PCI buses of a machine: bus numbers are one byte.
pub(super) const MAX_BUSES: usize = 256;

/// Why a place cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Something else is there.
    Taken,
    /// Guests have one PCI domain.
    Domain,
    /// There is no such bus, and none can be added.
    NoBus,
    /// The bus has no such slot.
    NoSlot { lowest: u8, highest: u8 },
    /// The bus takes no such device.
    Unsuited,
    /// An integrated device belongs on bus 0.
    NotIntegrated,
    /// No bus has a place, and none can be added.
    Full,
}

/// The buses, by index.
#[derive(Debug, Clone, Default)]
pub(super) struct BusSet {
    buses: Vec<Bus>,
    /// Whether buses may be added.
    growing: bool,
}

impl BusSet {
    /// Takes the known buses.
    pub(super) fn new(buses: Vec<Bus>, growing: bool) -> Self {
        Self { buses, growing }
    }

    /// How many buses there are.
    pub(super) fn len(&self) -> usize {
        self.buses.len()
    }

    /// The model of a bus.
    pub(super) fn model(&self, index: usize) -> Option<BusModel> {
        self.buses.get(index).map(|bus| bus.model)
    }

    /// Whether no bus has a wholly free slot.
    pub(super) fn is_full(&self) -> bool {
        self.buses.iter().all(Bus::is_full)
    }

    /// Whether any function of a slot of bus 0 is taken.
    pub(super) fn is_root_slot_taken(&self, slot: u8) -> bool {
        self.buses.first().is_some_and(|bus| bus.is_slot_taken(slot))
    }

    /// Whether a function is taken.
    pub(super) fn is_taken(&self, place: &PciAddress) -> bool {
        self.buses.get(usize::from(place.bus)).is_some_and(|bus| bus.is_taken(place.slot, place.function))
    }

    /// Takes the place that the document gives a device.
    pub(super) fn take_given(&mut self, place: &PciAddress, ask: Ask) -> Result<(), Refusal> {
        if place.domain != 0 {
            return Err(Refusal::Domain);
        }
        if ask.plug == Plug::Integrated && place.bus != 0 {
            return Err(Refusal::NotIntegrated);
        }
        while self.buses.len() <= usize::from(place.bus) {
            if !self.growing || self.grow(ask.plug).is_none() {
                return Err(Refusal::NoBus);
            }
        }
        let bus = self.buses.get_mut(usize::from(place.bus)).ok_or(Refusal::NoBus)?;
        if !bus.allows(ask.plug) {
            return Err(Refusal::Unsuited);
        }
        let (lowest, highest) = bus.model.slots();
        if !(lowest..=highest).contains(&place.slot) {
            return Err(Refusal::NoSlot { lowest, highest });
        }
        if bus.is_taken(place.slot, place.function) {
            return Err(Refusal::Taken);
        }
        bus.take(place.slot, place.function, ask.shares_slot());
        Ok(())
    }

    /// Takes the first place that suits a device; adds buses when that is allowed.
    pub(super) fn take_next(&mut self, ask: Ask, function: u8) -> Result<PciAddress, Refusal> {
        let (index, slot, function) = match self.search(ask, function, 0) {
            Some(found) => found,
            None => {
                let before = self.buses.len();
                if !self.growing || self.grow(ask.plug).is_none() {
                    return Err(Refusal::Full);
                }
                self.search(ask, function, before).ok_or(Refusal::Full)?
            }
        };
        let bus = self.buses.get_mut(index).ok_or(Refusal::NoBus)?;
        bus.take(slot, function, ask.shares_slot());
        let index = u8::try_from(index).map_err(|_| Refusal::Full)?;
        Ok(PciAddress::new(index, slot, function))
    }

    fn search(&self, ask: Ask, function: u8, from: usize) -> Option<(usize, u8, u8)> {
        let suited = self.buses.iter().enumerate().skip(from).filter(|(_, bus)| bus.suits(ask));
        suited
            .filter_map(|(index, bus)| {
                bus.first_free(ask, function).map(|(slot, function)| (index, slot, function))
            })
            .next()
    }

    /// Adds the buses that a device of this kind needs; none when nothing can be added for it.
    fn grow(&mut self, plug: Plug) -> Option<()> {
        let takes_bridges = |bus: &Bus| bus.model.offers().contains(&Plug::PciBridge);
        let added = match plug {
            Plug::Pci | Plug::PciBridge if self.buses.iter().any(takes_bridges) => {
                vec![Bus::new(BusModel::PciBridge)]
            }
            // The port is kept for the bridge, or a device would take the port before the bridge does.
            Plug::Pci | Plug::PciBridge => vec![
                Bus::new(BusModel::RootPort).reserved_for(Plug::PcieToPci),
                Bus::new(BusModel::PcieToPci),
            ],
            Plug::Express | Plug::SwitchUpstream | Plug::PcieToPci if self.is_express() => {
                vec![Bus::new(BusModel::RootPort)]
            }
            _ => return None,
        };
        if self.buses.len() + added.len() > MAX_BUSES {
            return None;
        }
        self.buses.extend(added);
        Some(())
    }

    fn is_express(&self) -> bool {
        self.model(0) == Some(BusModel::PcieRoot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conventional_device_on_an_express_machine_brings_port_and_bridge() {
        let mut set = BusSet::new(vec![Bus::new(BusModel::PcieRoot)], true);
        let place = set.take_next(Ask::cold(Plug::Pci), 0).unwrap();
        assert_eq!(place, PciAddress::new(2, 1, 0));
        assert_eq!(set.model(1), Some(BusModel::RootPort));
        assert_eq!(set.model(2), Some(BusModel::PcieToPci));
        // The port is kept for the bridge: the next device brings a port of its own.
        assert_eq!(set.take_next(Ask::cold(Plug::Express), 0), Ok(PciAddress::new(3, 0, 0)));
        assert_eq!(set.take_next(Ask::cold(Plug::PcieToPci), 0), Ok(PciAddress::new(1, 0, 0)));
    }

    #[test]
    fn a_full_bus_is_followed_by_a_bridge_only_while_growing() {
        let fill = |growing| {
            let mut set = BusSet::new(vec![Bus::new(BusModel::PciRoot)], growing);
            let places: Vec<_> = (0..32).map(|_| set.take_next(Ask::cold(Plug::Pci), 0)).collect();
            places.last().unwrap().clone()
        };
        assert_eq!(fill(true), Ok(PciAddress::new(1, 1, 0)));
        assert_eq!(fill(false), Err(Refusal::Full));
    }

    #[test]
    fn given_places_are_checked() {
        let mut set = BusSet::new(vec![Bus::new(BusModel::PciRoot)], false);
        let ask = Ask::cold(Plug::Pci);
        assert_eq!(set.take_given(&PciAddress::new(0, 5, 0), ask), Ok(()));
        assert_eq!(set.take_given(&PciAddress::new(0, 5, 0), ask), Err(Refusal::Taken));
        assert_eq!(set.take_given(&PciAddress::new(0, 5, 1), ask), Ok(()));
        assert_eq!(set.take_given(&PciAddress::new(1, 5, 0), ask), Err(Refusal::NoBus));
        let none = Refusal::NoSlot { lowest: 1, highest: 31 };
        assert_eq!(set.take_given(&PciAddress::new(0, 0, 1), ask), Err(none));
        let port = Ask::cold(Plug::RootPort);
        assert_eq!(set.take_given(&PciAddress::new(0, 6, 0), port), Err(Refusal::Unsuited));
    }
}
