//! `<features>`: switches of the machine.

use crate::error::{XmlError, XmlErrorKind};
use crate::read::Element;
use crate::units::Bytes;

/// The `<features>` element; a switch is none when the document is silent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Features {
    /// ACPI tables.
    pub acpi: bool,
    /// The APIC.
    pub apic: Option<Apic>,
    /// Physical address extension of 32-bit guests.
    pub pae: bool,
    /// Hardware assisted paging.
    pub hap: Option<bool>,
    /// Viridian extensions (Xen).
    pub viridian: bool,
    /// Private network (containers).
    pub privnet: bool,
    /// Hyper-V enlightenments.
    pub hyperv: Option<HyperV>,
    /// KVM switches.
    pub kvm: Option<Kvm>,
    /// Paravirtual spinlocks.
    pub pvspinlock: Option<bool>,
    /// System management mode.
    pub smm: Option<Smm>,
    /// The VMware port.
    pub vmport: Option<bool>,
    /// Who drives the I/O APIC.
    pub ioapic: Option<IoApic>,
    /// Performance counters.
    pub pmu: Option<bool>,
    /// Device that tells crash dumpers where to look.
    pub vmcoreinfo: Option<bool>,
    /// PS/2 controller.
    pub ps2: Option<bool>,
    /// Size of TCG's translation cache.
    pub tcg_tb_cache: Option<Bytes>,
    /// Interrupt controller of ARM guests: 2, 3 or host.
    pub gic: Option<Gic>,
    /// Asynchronous teardown of the memory at the end.
    pub async_teardown: Option<bool>,
}

keywords! {
    /// Who drives the I/O APIC.
    IoApic { Qemu = "qemu", Kvm = "kvm" }
}
keywords! {
    /// Version of the ARM interrupt controller.
    GicVersion { Host = "host", V2 = "2", V3 = "3" }
}
keywords! {
    /// Which enlightenments are on.
    HyperVMode { Custom = "custom", Passthrough = "passthrough", HostModel = "host-model" }
}

/// `<apic>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Apic {
    /// Paravirtual end of interrupt.
    pub eoi: Option<bool>,
}

/// `<gic>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gic {
    /// The version; none when the driver chooses.
    pub version: Option<GicVersion>,
}

/// `<smm>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Smm {
    /// Whether it is on.
    pub state: bool,
    /// Size of the protected memory.
    pub tseg: Option<Bytes>,
}

/// `<hyperv>`: enlightenments; none where the document is silent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HyperV {
    /// Which are on; custom when the document is silent.
    pub mode: Option<HyperVMode>,
    /// Relaxed timer checks.
    pub relaxed: Option<bool>,
    /// Virtual APIC.
    pub vapic: Option<bool>,
    /// Spinlocks.
    pub spinlocks: Option<HyperVSpinlocks>,
    /// Virtual processor index.
    pub vpindex: Option<bool>,
    /// Run time of the processor.
    pub runtime: Option<bool>,
    /// Synthetic interrupt controller.
    pub synic: Option<bool>,
    /// Synthetic timers.
    pub stimer: Option<HyperVStimer>,
    /// Reset by register.
    pub reset: Option<bool>,
    /// Vendor shown to the guest.
    pub vendor_id: Option<HyperVVendorId>,
    /// Frequency registers.
    pub frequencies: Option<bool>,
    /// Notification after a migration.
    pub reenlightenment: Option<bool>,
    /// Paravirtual TLB flush.
    pub tlbflush: Option<bool>,
    /// Paravirtual interrupts between processors.
    pub ipi: Option<bool>,
    /// Enlightened VMCS.
    pub evmcs: Option<bool>,
    /// Direct TLB flush hypercalls (AVIC).
    pub avic: Option<bool>,
}

/// `<spinlocks>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HyperVSpinlocks {
    /// Whether it is on.
    pub state: bool,
    /// Tries before the host is told; at least 4095.
    pub retries: Option<u32>,
}

/// `<stimer>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HyperVStimer {
    /// Whether it is on.
    pub state: bool,
    /// Whether expiry is an interrupt of its own.
    pub direct: Option<bool>,
}

/// `<vendor_id>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HyperVVendorId {
    /// Whether it is set.
    pub state: bool,
    /// The text, at most 12 characters.
    pub value: Option<String>,
}

/// `<kvm>`; none where the document is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kvm {
    /// Hide that this is KVM.
    pub hidden: Option<bool>,
    /// Tell the guest that its processors are its own.
    pub hint_dedicated: Option<bool>,
    /// Let the guest control host polling.
    pub poll_control: Option<bool>,
    /// Paravirtual interrupts between processors.
    pub pv_ipi: Option<bool>,
    /// Ring of dirty pages.
    pub dirty_ring: Option<DirtyRing>,
}

/// `<dirty-ring>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirtyRing {
    /// Whether it is on.
    pub state: bool,
    /// Entries, a power of two from 1024 to 65536.
    pub size: Option<u32>,
}

/// Fewest times that a guest tries to take a lock before it tells Hyper-V.
const LEAST_RETRIES: u32 = 4095;

/// Room for the name of a vendor in the processor's answers.
const VENDOR_BYTES: usize = 12;

/// How many entries a ring of dirty pages can have.
const RING_ENTRIES: std::ops::RangeInclusive<u32> = 1024..=65_536;

/// The state of a switch whose mere presence means on.
fn switch(features: Element<'_>, name: &'static str) -> Result<Option<bool>, XmlError> {
    features.maybe(name, |switch| Ok(switch.on_off("state")?.unwrap_or(true)))
}

/// The state of a switch that must say which.
fn state(element: Element<'_>) -> Result<bool, XmlError> {
    element.on_off("state")?.ok_or_else(|| element.missing("state"))
}

impl Features {
    pub(crate) fn read(features: Element<'_>) -> Result<Self, XmlError> {
        let tcg = features.child("tcg");
        Ok(Self {
            acpi: features.has("acpi"),
            apic: features.maybe("apic", |apic| Ok(Apic { eoi: apic.on_off("eoi")? }))?,
            pae: features.has("pae"),
            hap: switch(features, "hap")?,
            viridian: features.has("viridian"),
            privnet: features.has("privnet"),
            hyperv: features.maybe("hyperv", HyperV::read)?,
            kvm: features.maybe("kvm", Kvm::read)?,
            pvspinlock: switch(features, "pvspinlock")?,
            smm: features.maybe("smm", read_smm)?,
            vmport: switch(features, "vmport")?,
            ioapic: features.maybe("ioapic", |ioapic| ioapic.need_keyword("driver"))?,
            pmu: switch(features, "pmu")?,
            vmcoreinfo: switch(features, "vmcoreinfo")?,
            ps2: switch(features, "ps2")?,
            tcg_tb_cache: tcg
                .map(|tcg| tcg.maybe("tb-cache", |size| size.size("KiB")))
                .transpose()?
                .flatten(),
            gic: features.maybe("gic", |gic| Ok(Gic { version: gic.keyword("version")? }))?,
            async_teardown: features
                .maybe("async-teardown", |teardown| Ok(teardown.yes_no("enabled")?.unwrap_or(true)))?,
        })
    }

    /// Both together: a document can say them in several elements. What is said twice is taken as it is said first.
    pub(crate) fn and(self, later: Self) -> Self {
        Self {
            acpi: self.acpi || later.acpi,
            apic: self.apic.or(later.apic),
            pae: self.pae || later.pae,
            hap: self.hap.or(later.hap),
            viridian: self.viridian || later.viridian,
            privnet: self.privnet || later.privnet,
            hyperv: self.hyperv.or(later.hyperv),
            kvm: self.kvm.or(later.kvm),
            pvspinlock: self.pvspinlock.or(later.pvspinlock),
            smm: self.smm.or(later.smm),
            vmport: self.vmport.or(later.vmport),
            ioapic: self.ioapic.or(later.ioapic),
            pmu: self.pmu.or(later.pmu),
            vmcoreinfo: self.vmcoreinfo.or(later.vmcoreinfo),
            ps2: self.ps2.or(later.ps2),
            tcg_tb_cache: self.tcg_tb_cache.or(later.tcg_tb_cache),
            gic: self.gic.or(later.gic),
            async_teardown: self.async_teardown.or(later.async_teardown),
        }
    }
}

fn read_smm(smm: Element<'_>) -> Result<Smm, XmlError> {
    Ok(Smm { state: smm.on_off("state")?.unwrap_or(true), tseg: smm.maybe("tseg", |tseg| tseg.size("MiB"))? })
}

impl HyperV {
    fn read(hyperv: Element<'_>) -> Result<Self, XmlError> {
        let flag = |name| hyperv.maybe(name, state);
        Ok(Self {
            mode: hyperv.keyword("mode")?,
            relaxed: flag("relaxed")?,
            vapic: flag("vapic")?,
            spinlocks: hyperv.maybe("spinlocks", |locks| {
                let retries = locks.number("retries")?;
                let on = state(locks)?;
                if on && retries.ok_or_else(|| locks.missing("retries"))? < LEAST_RETRIES {
                    let message = format!("a guest tries at least {LEAST_RETRIES} times before it gives way");
                    return Err(locks.fault(Some("retries"), XmlErrorKind::OutOfRange, message));
                }
                Ok(HyperVSpinlocks { state: on, retries })
            })?,
            vpindex: flag("vpindex")?,
            runtime: flag("runtime")?,
            synic: flag("synic")?,
            stimer: hyperv.maybe("stimer", |stimer| {
                Ok(HyperVStimer { state: state(stimer)?, direct: stimer.maybe("direct", state)? })
            })?,
            reset: flag("reset")?,
            vendor_id: hyperv.maybe("vendor_id", |vendor| {
                let (on, value) = (state(vendor)?, vendor.filled("value"));
                if on && value.as_ref().ok_or_else(|| vendor.missing("value"))?.len() > VENDOR_BYTES {
                    let message = format!("the name of a vendor has at most {VENDOR_BYTES} characters");
                    return Err(vendor.fault(Some("value"), XmlErrorKind::OutOfRange, message));
                }
                Ok(HyperVVendorId { state: on, value })
            })?,
            frequencies: flag("frequencies")?,
            reenlightenment: flag("reenlightenment")?,
            tlbflush: flag("tlbflush")?,
            ipi: flag("ipi")?,
            evmcs: flag("evmcs")?,
            avic: flag("avic")?,
        })
    }
}

impl Kvm {
    fn read(kvm: Element<'_>) -> Result<Self, XmlError> {
        let flag = |name| kvm.maybe(name, state);
        Ok(Self {
            hidden: flag("hidden")?,
            hint_dedicated: flag("hint-dedicated")?,
            poll_control: flag("poll-control")?,
            pv_ipi: flag("pv-ipi")?,
            dirty_ring: kvm.maybe("dirty-ring", |ring| {
                let (on, size) = (state(ring)?, ring.number("size")?);
                if on {
                    let entries: u32 = size.ok_or_else(|| ring.missing("size"))?;
                    if !entries.is_power_of_two() || !RING_ENTRIES.contains(&entries) {
                        let message = "a ring has a power of two of entries, from 1024 to 65536".to_owned();
                        return Err(ring.fault(Some("size"), XmlErrorKind::OutOfRange, message));
                    }
                }
                Ok(DirtyRing { state: on, size })
            })?,
        })
    }
}
