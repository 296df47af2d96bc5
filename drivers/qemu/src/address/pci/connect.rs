//! What PCI buses offer and PCI devices ask.

/// What a device is, as far as the bus it sits on is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plug {
    /// A conventional PCI device.
    Pci,
    /// A PCI Express device.
    Express,
    /// A PCI Express device that must sit on bus 0.
    Integrated,
    /// `pcie-root-port`.
    RootPort,
    /// `pcie-switch-upstream-port`.
    SwitchUpstream,
    /// `pcie-switch-downstream-port`.
    SwitchDownstream,
    /// `dmi-to-pci-bridge`.
    DmiToPci,
    /// `pcie-to-pci-bridge`.
    PcieToPci,
    /// `pci-bridge`.
    PciBridge,
    /// `pci-expander-bus`.
    PciExpander,
    /// `pcie-expander-bus`.
    PcieExpander,
}

impl Plug {
    /// What a PCI controller of this model is to the bus it sits on; none for a root.
    pub(super) fn of_controller(model: &str) -> Option<Self> {
        Some(match model {
            "pcie-root-port" => Self::RootPort,
            "pcie-switch-upstream-port" => Self::SwitchUpstream,
            "pcie-switch-downstream-port" => Self::SwitchDownstream,
            "dmi-to-pci-bridge" => Self::DmiToPci,
            "pcie-to-pci-bridge" => Self::PcieToPci,
            "pci-bridge" => Self::PciBridge,
            "pci-expander-bus" => Self::PciExpander,
            "pcie-expander-bus" => Self::PcieExpander,
            _ => return None,
        })
    }

    /// Whether it is an ordinary device rather than a controller.
    pub(super) fn is_endpoint(self) -> bool {
        matches!(self, Self::Pci | Self::Express | Self::Integrated)
    }

    /// The words for it in a message.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Pci => "standard PCI device",
            Self::Express | Self::Integrated => "PCI Express device",
            Self::RootPort => "pcie-root-port",
            Self::SwitchUpstream => "pcie-switch-upstream-port",
            Self::SwitchDownstream => "pcie-switch-downstream-port",
            Self::DmiToPci => "dmi-to-pci-bridge",
            Self::PcieToPci => "pcie-to-pci-bridge",
            Self::PciBridge => "pci-bridge",
            Self::PciExpander => "pci-expander-bus",
            Self::PcieExpander => "pcie-expander-bus",
        }
    }
}

/// The models of buses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BusModel {
    PciRoot,
    PcieRoot,
    PciBridge,
    PciExpander,
    PcieExpander,
    RootPort,
    SwitchUpstream,
    SwitchDownstream,
    DmiToPci,
    PcieToPci,
}

impl BusModel {
    /// The bus below a controller of this model.
    pub(super) fn of(model: &str) -> Option<Self> {
        Some(match model {
            "pci-root" => Self::PciRoot,
            "pcie-root" => Self::PcieRoot,
            "pci-bridge" => Self::PciBridge,
            "pci-expander-bus" => Self::PciExpander,
            "pcie-expander-bus" => Self::PcieExpander,
            "pcie-root-port" => Self::RootPort,
            "pcie-switch-upstream-port" => Self::SwitchUpstream,
            "pcie-switch-downstream-port" => Self::SwitchDownstream,
            "dmi-to-pci-bridge" => Self::DmiToPci,
            "pcie-to-pci-bridge" => Self::PcieToPci,
            _ => return None,
        })
    }

    /// The controller's model as the document writes it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::PciRoot => "pci-root",
            Self::PcieRoot => "pcie-root",
            Self::PciBridge => "pci-bridge",
            Self::PciExpander => "pci-expander-bus",
            Self::PcieExpander => "pcie-expander-bus",
            Self::RootPort => "pcie-root-port",
            Self::SwitchUpstream => "pcie-switch-upstream-port",
            Self::SwitchDownstream => "pcie-switch-downstream-port",
            Self::DmiToPci => "dmi-to-pci-bridge",
            Self::PcieToPci => "pcie-to-pci-bridge",
        }
    }

    /// What can be plugged into it.
    pub(super) fn offers(self) -> &'static [Plug] {
        match self {
            Self::PciRoot => &[Plug::Pci, Plug::PciBridge, Plug::PciExpander],
            Self::PciBridge | Self::PciExpander | Self::DmiToPci | Self::PcieToPci => {
                &[Plug::Pci, Plug::PciBridge]
            }
            Self::PcieRoot => {
                &[Plug::Express, Plug::Integrated, Plug::RootPort, Plug::DmiToPci, Plug::PcieExpander]
            }
            Self::PcieExpander => &[Plug::RootPort, Plug::DmiToPci],
            Self::RootPort | Self::SwitchDownstream => {
                &[Plug::Express, Plug::SwitchUpstream, Plug::PcieToPci]
            }
            Self::SwitchUpstream => &[Plug::SwitchDownstream],
        }
    }

    /// Whether devices are put there without the document asking for it.
    pub(super) fn takes_unasked(self) -> bool {
        matches!(
            self,
            Self::PciRoot
                | Self::PciBridge
                | Self::PciExpander
                | Self::RootPort
                | Self::SwitchDownstream
                | Self::PcieToPci
        )
    }

    /// Whether devices can be plugged there while the guest runs, unless the document forbids it.
    pub(super) fn takes_hotplug(self) -> bool {
        self.takes_unasked()
    }

    /// The lowest and the highest slot.
    pub(super) fn slots(self) -> (u8, u8) {
        match self {
            Self::PciRoot | Self::PciBridge | Self::PcieRoot | Self::PcieToPci => (1, LAST_SLOT),
            Self::RootPort | Self::SwitchDownstream => (0, 0),
            Self::PciExpander | Self::PcieExpander | Self::SwitchUpstream | Self::DmiToPci => (0, LAST_SLOT),
        }
    }
}

/// The highest slot of a PCI bus.
const LAST_SLOT: u8 = 31;

/// What one device asks of the bus it is put on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ask {
    /// What it is.
    pub(super) plug: Plug,
    /// Whether it must be possible to plug it while the guest runs.
    pub(super) hotplug: bool,
}

impl Ask {
    /// A device that is there when the guest starts.
    pub(super) fn cold(plug: Plug) -> Self {
        Self { plug, hotplug: false }
    }

    /// A device that may be plugged later.
    pub(super) fn hot(plug: Plug) -> Self {
        Self { plug, hotplug: true }
    }

    /// Whether it shares a slot with others of its kind, one function each.
    pub(super) fn shares_slot(self) -> bool {
        self.plug == Plug::RootPort
    }
}
