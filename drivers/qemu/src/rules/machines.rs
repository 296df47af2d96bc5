//! What a machine type or an architecture has, and what it does not.

use hostler_sdk::domain::DomainType;
use hostler_sdk::domain::clock::TimerName;
use hostler_sdk::domain::controller::ControllerType;
use hostler_sdk::domain::features::IoApic;
use hostler_sdk::domain::iommu::IommuModel;
use hostler_sdk::domain::os::{Firmware, LoaderType};
use hostler_sdk::domain::panic::{Panic, PanicModel};
use hostler_sdk::domain::tpm::{TpmBackend, TpmVersion};

use super::{Broken, Rule, Subject, broken};
use crate::machine::MachineKind;

pub(super) const RULES: &[Rule] = &[
    firmware,
    secure_boot,
    system_management,
    features,
    translation,
    timers,
    iommu,
    tpm,
    panics,
    watchdogs,
    bridges,
];

/// Highest index of a PCI host bridge of a pseries machine.
const HIGHEST_HOST_BRIDGE: u32 = 30;

/// Features that only pseries machines have.
const PSERIES_FEATURES: [&str; 7] = ["hpt", "htm", "nested-hv", "ccf-assist", "cfpc", "sbbc", "ibs"];

/// The granularity of memory that only system management sees.
const TSEG_UNIT: u64 = 1 << 20;

fn is_uefi(subject: &Subject<'_>) -> bool {
    let os = &subject.domain.os;
    let flash = os.loader.as_ref().is_some_and(|loader| loader.kind == Some(LoaderType::Pflash));
    flash || os.firmware == Some(Firmware::Efi)
}

/// UEFI describes the machine to the guest with ACPI tables, on ARM nothing else does.
fn firmware(subject: &Subject<'_>) -> Option<Broken> {
    let acpi = subject.domain.features.acpi;
    if subject.arch == "aarch64" && acpi && !is_uefi(subject) {
        let node = subject.element(&["features", "acpi"]);
        return broken(node, "qemu.machine-acpi", "ACPI needs UEFI on aarch64", "add <os firmware='efi'>");
    }
    let express = subject.machine.kind == MachineKind::Q35 || subject.is_arm();
    if !acpi && express && is_uefi(subject) {
        let node = subject.element(&["os"]);
        return broken(
            node,
            "qemu.machine-acpi",
            "UEFI needs ACPI on this machine",
            "add <acpi/> to <features>, or boot with BIOS",
        );
    }
    None
}

fn secure_boot(subject: &Subject<'_>) -> Option<Broken> {
    let secure = subject.domain.os.loader.as_ref()?.secure == Some(true);
    // Firmware that is chosen brings what it needs; for firmware that is named it is to be said.
    let named = subject.domain.os.firmware.is_none();
    let node = subject.element(&["os", "loader"]);
    let no_smm = subject.domain.features.smm.map_or(named, |smm| !smm.state);
    let what = if !secure {
        return None;
    } else if subject.arch != "x86_64" {
        "firmware with secure='yes' runs on x86_64 only"
    } else if subject.machine.kind != MachineKind::Q35 {
        "firmware with secure='yes' needs a q35 machine"
    } else if no_smm {
        "firmware with secure='yes' needs system management mode, which the domain is not said to have"
    } else {
        return None;
    };
    broken(
        node,
        "qemu.machine-secure",
        what,
        "write machine='q35' and <smm state='on'/>, or leave secure out",
    )
}

fn system_management(subject: &Subject<'_>) -> Option<Broken> {
    let smm = subject.domain.features.smm?;
    let tseg = smm.tseg.filter(|_| smm.state)?;
    let node = subject.element(&["features", "smm", "tseg"]);
    if subject.machine.kind != MachineKind::Q35 {
        let what = "<tseg> sets up a chip that only q35 machines have";
        return broken(node, "qemu.machine-tseg", what, "write machine='q35', or remove <tseg>");
    }
    if tseg.0 % TSEG_UNIT != 0 {
        let what = "the size of <tseg> is no whole number of MiB";
        return broken(node, "qemu.tseg-size", what, "write a multiple of 1 MiB");
    }
    None
}

fn features(subject: &Subject<'_>) -> Option<Broken> {
    let features = &subject.domain.features;
    let x86_only = [
        ("hyperv", features.hyperv.is_some() && !subject.is_arm()),
        ("pvspinlock", features.pvspinlock.is_some()),
        ("vmport", features.vmport.is_some()),
        ("smm", features.smm.is_some()),
        ("ioapic", features.ioapic.is_some()),
        ("ps2", features.ps2.is_some()),
    ];
    let stranger = x86_only.into_iter().find(|(_, given)| *given && !subject.is_x86());
    let gic = features.gic.is_some() && !subject.is_arm();
    let pseries = subject.arch.starts_with("ppc64") && subject.machine_name.starts_with("pseries");
    let element = subject.element(&["features"]);
    let of_pseries = PSERIES_FEATURES.iter().find(|name| subject.document().child(element, name).is_some());
    let (name, hint) = match (stranger, of_pseries) {
        (Some((name, _)), _) => (name, "remove it, or use an x86 machine"),
        (None, _) if gic => ("gic", "remove it: only ARM machines have this interrupt controller"),
        (None, Some(name)) if !pseries => (*name, "remove it: only pseries machines have it"),
        _ => return None,
    };
    let what = format!(
        "architecture '{}' with machine type '{}' has no feature '{name}'",
        subject.arch, subject.machine_name
    );
    broken(subject.element(&["features", name]), "qemu.machine-feature", what, hint)
}

/// What goes with the processor's own execution, and what with translation.
fn translation(subject: &Subject<'_>) -> Option<Broken> {
    subject.domain.features.tcg_tb_cache.filter(|_| subject.domain.kind == DomainType::Kvm)?;
    let what = "<tcg> sets up translation, which a domain of type 'kvm' does not use";
    broken(
        subject.element(&["features", "tcg"]),
        "qemu.features-tcg",
        what,
        "remove <tcg>, or write type='qemu'",
    )
}

fn timers(subject: &Subject<'_>) -> Option<Broken> {
    use TimerName::{ArmVTimer, Hpet, HypervClock, KvmClock, Pit, Tsc};
    let absent = subject.domain.clock.timers.iter().find(|timer| match timer.name {
        Tsc | Pit | Hpet | KvmClock | HypervClock => !subject.is_x86(),
        ArmVTimer => !subject.is_arm(),
        TimerName::Platform | TimerName::Rtc => false,
    })?;
    let node = subject.timer(absent.name);
    let what = format!("guests of architecture '{}' have no timer '{}'", subject.arch, absent.name);
    broken(node, "qemu.machine-timer", what, "remove the timer")
}

fn iommu(subject: &Subject<'_>) -> Option<Broken> {
    let iommu = subject.domain.devices.iommu.as_ref()?;
    let virt = subject.is_arm() && subject.machine_name.starts_with("virt");
    let q35 = subject.machine.kind == MachineKind::Q35;
    let (fits, remedy) = match iommu.model {
        IommuModel::Intel => (q35, "write machine='q35'"),
        IommuModel::Virtio => (q35 || virt, "write machine='q35'"),
        IommuModel::Smmuv3 => (virt, "write model='intel' on a q35 machine"),
    };
    if !fits {
        let what = format!("machine type '{}' has no IOMMU of model '{}'", subject.machine_name, iommu.model);
        return broken(iommu.node, "qemu.machine-iommu", what, remedy);
    }
    if iommu.model == IommuModel::Virtio && !subject.domain.features.acpi {
        let what =
            "an IOMMU of model 'virtio' is described to the guest by ACPI, which the domain does not have";
        return broken(iommu.node, "qemu.machine-acpi", what, "add <acpi/> to <features>");
    }
    let tuned = [iommu.intremap, iommu.caching_mode, iommu.eim, iommu.iotlb].iter().any(Option::is_some);
    if iommu.model == IommuModel::Virtio && (tuned || iommu.aw_bits.is_some()) {
        let what = "an IOMMU of model 'virtio' has nothing to set";
        return broken(subject.within(iommu.node, "driver"), "qemu.iommu-driver", what, "remove <driver>");
    }
    if iommu.intremap == Some(true) && subject.domain.features.ioapic != Some(IoApic::Qemu) {
        let what = "interrupts can only be remapped when QEMU has the I/O interrupt controller";
        let node = subject.within(iommu.node, "driver");
        return broken(node, "qemu.iommu-interrupts", what, "write <ioapic driver='qemu'/> in <features>");
    }
    if iommu.eim == Some(true) && iommu.intremap != Some(true) {
        let what = "eim='on' without intremap='on'";
        return broken(
            subject.within(iommu.node, "driver"),
            "qemu.iommu-interrupts",
            what,
            "add intremap='on'",
        );
    }
    None
}

fn tpm(subject: &Subject<'_>) -> Option<Broken> {
    subject.domain.devices.tpms.iter().find_map(|tpm| {
        let model = tpm.model.as_deref();
        let old = matches!(&tpm.backend, TpmBackend::Emulator { version: Some(TpmVersion::V1_2), .. });
        let for_power = model.is_some_and(|model| model.starts_with("spapr-") || model == "tpm-spapr");
        if old && subject.is_arm() {
            broken(tpm.node, "qemu.machine-tpm", "a TPM 1.2 is not to be had on ARM", "write version='2.0'")
        } else if old && model == Some("tpm-crb") {
            let what = "a TPM 1.2 has no interface 'tpm-crb'";
            broken(tpm.node, "qemu.tpm-interface", what, "write version='2.0', or model='tpm-tis'")
        } else if for_power && subject.arch != "ppc64" {
            let what = format!(
                "architecture '{}' has no TPM of model '{}'",
                subject.arch,
                model.unwrap_or_default()
            );
            broken(tpm.node, "qemu.machine-tpm", what, "write model='tpm-tis' or model='tpm-crb'")
        } else {
            None
        }
    })
}

fn panics(subject: &Subject<'_>) -> Option<Broken> {
    let panics = &subject.domain.devices.panics;
    let default = if subject.is_x86() { Some(PanicModel::Isa) } else { None };
    let model = |panic: &Panic| panic.model.or(default);
    for (place, panic) in panics.iter().enumerate() {
        let model_here = model(panic);
        let fits = match model_here {
            Some(PanicModel::Isa | PanicModel::HyperV) => subject.is_x86(),
            Some(PanicModel::Pseries) => subject.arch == "ppc64",
            Some(PanicModel::S390) => subject.arch.starts_with("s390"),
            Some(PanicModel::Pvpanic) | None => true,
        };
        if !fits {
            let what = format!("architecture '{}' has no panic device of this model", subject.arch);
            return broken(panic.node, "qemu.machine-panic", what, "leave its model out");
        }
        if panics.iter().take(place).any(|before| model(before) == model_here) {
            let what = "a domain has one panic device of each model at most";
            return broken(panic.node, "qemu.only-one", what, "remove it");
        }
    }
    None
}

fn watchdogs(subject: &Subject<'_>) -> Option<Broken> {
    let devices = &subject.domain.devices.watchdogs;
    let stranger = devices.iter().find(|watchdog| match watchdog.model.as_str() {
        "diag288" => !subject.arch.starts_with("s390"),
        "ib700" => !subject.is_x86(),
        "itco" => subject.machine.kind != MachineKind::Q35,
        _ => false,
    })?;
    let what = format!("machine type '{}' has no watchdog '{}'", subject.machine_name, stranger.model);
    broken(stranger.node, "qemu.machine-watchdog", what, "write model='i6300esb'")
}

/// Host bridges of pseries machines are numbered twice.
fn bridges(subject: &Subject<'_>) -> Option<Broken> {
    let roots = subject.domain.devices.controllers.iter();
    let mut roots = roots.filter(|controller| {
        controller.kind == ControllerType::Pci && controller.model.as_deref() == Some("pci-root")
    });
    if subject.is_x86() {
        return None;
    }
    roots.find_map(|root| {
        let target = root.pci.index?;
        if target > HIGHEST_HOST_BRIDGE {
            let what = format!("host bridges are numbered from 0 to {HIGHEST_HOST_BRIDGE}, not {target}");
            return broken(root.node, "qemu.pci-root", what, "write a lower index in <target>");
        }
        ((root.index? == 0) != (target == 0)).then_some(())?;
        let what = "the PCI controller with index 0 is the host bridge with target index 0, and no other is";
        broken(root.node, "qemu.pci-root", what, "leave the index of <target> out")
    })
}
