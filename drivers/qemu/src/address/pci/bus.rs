//! One PCI bus: which functions of which slots are taken.

use super::connect::{Ask, BusModel, Plug};

/// Functions of a PCI slot.
const FUNCTIONS: u8 = 8;
/// Slots of a PCI bus.
const SLOTS: usize = 32;

/// One slot of a bus.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// The functions taken, one bit each.
    taken: u8,
    /// Whether everything in it shares the slot willingly.
    shared: bool,
}

/// One bus.
#[derive(Debug, Clone)]
pub(super) struct Bus {
    /// The model of its controller.
    pub(super) model: BusModel,
    /// Whether devices can be plugged while the guest runs.
    hotplug: bool,
    /// When set, nothing else may be put here unasked.
    only: Option<Plug>,
    slots: [Slot; SLOTS],
}

impl Bus {
    /// An empty bus.
    pub(super) fn new(model: BusModel) -> Self {
        Self { model, hotplug: model.takes_hotplug(), only: None, slots: [Slot::default(); SLOTS] }
    }

    /// Forbids plugging while the guest runs.
    #[must_use]
    pub(super) fn without_hotplug(mut self) -> Self {
        self.hotplug = false;
        self
    }

    /// Keeps the bus for one kind of device.
    #[must_use]
    pub(super) fn reserved_for(mut self, plug: Plug) -> Self {
        self.only = Some(plug);
        self
    }

    /// Whether a device of this kind can be put here without the document asking for it.
    pub(super) fn suits(&self, ask: Ask) -> bool {
        let offered = self.model.offers().contains(&ask.plug);
        let unasked = !ask.plug.is_endpoint() || ask.plug == Plug::Integrated || self.model.takes_unasked();
        let kept = self.only.is_none_or(|only| only == ask.plug);
        offered && unasked && kept && (self.hotplug || !ask.hotplug)
    }

    /// Whether the document may put a device of this kind here. PCI and PCI Express devices mix.
    pub(super) fn allows(&self, plug: Plug) -> bool {
        let offers = self.model.offers();
        offers.contains(&plug) || plug.is_endpoint() && offers.iter().any(|offer| offer.is_endpoint())
    }

    fn slot(&self, slot: u8) -> Slot {
        self.slots.get(usize::from(slot)).copied().unwrap_or_default()
    }

    /// Whether a function of a slot is taken.
    pub(super) fn is_taken(&self, slot: u8, function: u8) -> bool {
        self.slot(slot).taken & bit(function) != 0
    }

    /// Whether any function of a slot is taken.
    pub(super) fn is_slot_taken(&self, slot: u8) -> bool {
        self.slot(slot).taken != 0
    }

    /// Whether no slot is wholly free.
    pub(super) fn is_full(&self) -> bool {
        let (lowest, highest) = self.model.slots();
        (lowest..=highest).all(|slot| self.is_slot_taken(slot))
    }

    /// The first place for a device: a free slot, or a free function of a slot that is shared.
    pub(super) fn first_free(&self, ask: Ask, function: u8) -> Option<(u8, u8)> {
        let (lowest, highest) = self.model.slots();
        (lowest..=highest).find_map(|number| {
            let slot = self.slot(number);
            if slot.taken == 0 {
                return Some((number, function));
            }
            if !ask.shares_slot() || !slot.shared {
                return None;
            }
            (0..FUNCTIONS)
                .find(|function| slot.taken & bit(*function) == 0)
                .map(|function| (number, function))
        })
    }

    /// Takes a function of a slot.
    pub(super) fn take(&mut self, slot: u8, function: u8, shares: bool) {
        if let Some(slot) = self.slots.get_mut(usize::from(slot)) {
            slot.shared = shares && (slot.taken == 0 || slot.shared);
            slot.taken |= bit(function);
        }
    }
}

fn bit(function: u8) -> u8 {
    1_u8.checked_shl(u32::from(function)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_ports_fill_the_functions_of_a_slot_and_others_do_not_join() {
        let mut bus = Bus::new(BusModel::PcieRoot);
        let port = Ask::cold(Plug::RootPort);
        for function in 0..8 {
            assert_eq!(bus.first_free(port, 0), Some((1, function)));
            bus.take(1, function, true);
        }
        assert_eq!(bus.first_free(port, 0), Some((2, 0)));
        bus.take(2, 0, false);
        assert_eq!(bus.first_free(port, 0), Some((3, 0)), "slot 2 is not shared");
    }

    #[test]
    fn only_the_document_may_put_endpoints_on_the_express_root() {
        let root = Bus::new(BusModel::PcieRoot);
        assert!(!root.suits(Ask::cold(Plug::Express)));
        assert!(root.suits(Ask::cold(Plug::Integrated)));
        assert!(root.allows(Plug::Express) && root.allows(Plug::Pci));
        assert!(!root.allows(Plug::PciBridge));
    }

    #[test]
    fn a_port_without_hotplug_takes_cold_devices_only() {
        let port = Bus::new(BusModel::RootPort).without_hotplug();
        assert!(port.suits(Ask::cold(Plug::Express)));
        assert!(!port.suits(Ask::hot(Plug::Express)));
    }
}
