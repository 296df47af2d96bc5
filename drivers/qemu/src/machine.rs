//! What kind of machine a domain asks for, and what that kind brings along.

/// The families of machine types that matter for devices and their places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MachineKind {
    /// `pc` and its versions: one PCI bus, PIIX3 with IDE and USB.
    I440fx,
    /// `q35` and its versions: PCI Express, ICH9 with SATA.
    Q35,
    /// `microvm`: virtio on memory windows, no PCI.
    Microvm,
    /// `isapc`: no PCI at all.
    Isa,
    /// Anything else.
    Other,
}

/// The machine of a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Machine {
    /// The family.
    pub(crate) kind: MachineKind,
}

/// The machine type of a document that names none.
pub(crate) const DEFAULT_MACHINE: &str = "pc";

impl Machine {
    /// The machine that this machine type names.
    pub(crate) fn of(name: &str) -> Self {
        let versioned = |prefix: &str| name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('-'));
        let old_pc = name.starts_with("pc-0.") || name.starts_with("pc-1.");
        let kind = if name == "q35" || versioned("pc-q35") {
            MachineKind::Q35
        } else if name == "pc" || versioned("pc-i440fx") || old_pc {
            MachineKind::I440fx
        } else if name == "microvm" {
            MachineKind::Microvm
        } else if name == "isapc" {
            MachineKind::Isa
        } else {
            MachineKind::Other
        };
        Self { kind }
    }

    /// The model of the controller that is PCI bus 0; none for a machine without PCI.
    pub(crate) fn pci_root(self) -> Option<&'static str> {
        match self.kind {
            MachineKind::I440fx => Some("pci-root"),
            MachineKind::Q35 => Some("pcie-root"),
            MachineKind::Microvm | MachineKind::Isa | MachineKind::Other => None,
        }
    }

    /// Whether bus 0 is PCI Express.
    pub(crate) fn is_express(self) -> bool {
        self.kind == MachineKind::Q35
    }

    /// Whether IDE controller 0 is part of the machine.
    pub(crate) fn has_builtin_ide(self) -> bool {
        matches!(self.kind, MachineKind::I440fx | MachineKind::Isa)
    }

    /// Whether SATA controller 0 is part of the machine.
    pub(crate) fn has_builtin_sata(self) -> bool {
        self.kind == MachineKind::Q35
    }

    /// Whether a floppy controller is part of the machine when it has floppies.
    pub(crate) fn has_builtin_fdc(self) -> bool {
        matches!(self.kind, MachineKind::I440fx | MachineKind::Isa)
    }

    /// The model of the USB controller that a silent document gets; none for no controller.
    pub(crate) fn default_usb(self) -> Option<&'static str> {
        match self.kind {
            MachineKind::I440fx => Some(UNNAMED_USB_MODEL),
            MachineKind::Q35 => Some("qemu-xhci"),
            MachineKind::Microvm | MachineKind::Isa | MachineKind::Other => None,
        }
    }

    /// Whether a silent document gets a memory balloon.
    pub(crate) fn has_default_balloon(self) -> bool {
        self.pci_root().is_some()
    }

    /// Whether the machine has a PS/2 mouse and keyboard that cannot be left out.
    pub(crate) fn has_ps2(self) -> bool {
        matches!(self.kind, MachineKind::I440fx | MachineKind::Q35 | MachineKind::Isa)
    }

    /// Whether devices can be completed for this machine at all.
    pub(crate) fn is_known(self) -> bool {
        self.kind != MachineKind::Other
    }
}

/// The USB controller that `<controller type='usb'/>` without a model means, on every x86 machine.
pub(crate) const UNNAMED_USB_MODEL: &str = "piix3-uhci";

/// The SCSI controller that `<controller type='scsi'/>` without a model means.
pub(crate) const UNNAMED_SCSI_MODEL: &str = "lsilogic";

/// Whether an architecture is one that this driver lays out machines for.
pub(crate) fn is_x86(arch: &str) -> bool {
    matches!(arch, "x86_64" | "i686")
}

/// The processor that a QEMU program gives a guest when the document names none. The program decides, not the
/// guest's architecture: 32-bit guests on the usual program have its usual processor.
pub(crate) fn default_cpu_model(emulator: Option<&str>) -> &'static str {
    if emulator.is_some_and(|program| program.ends_with("-i386")) { "qemu32" } else { "qemu64" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_told_by_name() {
        for (name, kind) in [
            ("pc", MachineKind::I440fx),
            ("pc-i440fx-7.2", MachineKind::I440fx),
            ("pc-1.3", MachineKind::I440fx),
            ("q35", MachineKind::Q35),
            ("pc-q35-7.2", MachineKind::Q35),
            ("microvm", MachineKind::Microvm),
            ("isapc", MachineKind::Isa),
            ("virt", MachineKind::Other),
            ("pc-q35ish", MachineKind::Other),
        ] {
            assert_eq!(Machine::of(name).kind, kind, "{name}");
        }
    }

    #[test]
    fn every_pci_machine_has_one_root() {
        assert_eq!(Machine::of("pc").pci_root(), Some("pci-root"));
        assert_eq!(Machine::of("q35").pci_root(), Some("pcie-root"));
        assert_eq!(Machine::of("isapc").pci_root(), None);
    }
}
