//! What the processor tells the guest about the hypervisor: timers, paravirtual features, enlightenments.

use hostler_sdk::Value;
use hostler_sdk::domain::Domain;
use hostler_sdk::domain::clock::TimerName;
use hostler_sdk::domain::features::{HyperV, HyperVMode, Kvm};
use hostler_sdk::domain::panic::PanicModel;

use super::builder::set_some;

/// Adds everything that the rest of the document asks of the processor.
pub(super) fn add(domain: &Domain, value: &mut Value) {
    add_timers(domain, value);
    let features = &domain.features;
    set_some(value, "kvm-pv-eoi", features.apic.as_ref().and_then(|apic| apic.eoi));
    set_some(value, "kvm-pv-unhalt", features.pvspinlock);
    if let Some(hyperv) = &features.hyperv {
        add_hyperv(hyperv, value);
    }
    let crash = domain.devices.panics.iter().any(|panic| panic.model == Some(PanicModel::HyperV));
    if crash {
        value.set("hv-crash", Value::Null);
    }
    if let Some(kvm) = &features.kvm {
        add_kvm(kvm, value);
    }
    set_some(value, "pmu", features.pmu);
}

fn add_timers(domain: &Domain, value: &mut Value) {
    for timer in &domain.clock.timers {
        match timer.name {
            TimerName::KvmClock => set_some(value, "kvmclock", timer.present),
            TimerName::HypervClock => set_some(value, "hv-time", timer.present.filter(|present| *present)),
            TimerName::Tsc => set_some(value, "tsc-frequency", timer.frequency_hz.filter(|hertz| *hertz > 0)),
            _ => {}
        }
    }
}

fn add_hyperv(hyperv: &HyperV, value: &mut Value) {
    if hyperv.mode == Some(HyperVMode::Passthrough) {
        value.set("hv-passthrough", true);
    }
    let spinlocks = hyperv.spinlocks.as_ref().filter(|locks| locks.state);
    let stimer = hyperv.stimer.as_ref().filter(|stimer| stimer.state);
    let vendor = hyperv.vendor_id.as_ref().filter(|vendor| vendor.state);
    let mut on = |name: &str, state: Option<bool>| set_some(value, name, state.filter(|state| *state));
    on("hv-relaxed", hyperv.relaxed);
    on("hv-vapic", hyperv.vapic);
    on("hv-vpindex", hyperv.vpindex);
    on("hv-runtime", hyperv.runtime);
    on("hv-synic", hyperv.synic);
    on("hv-stimer", stimer.map(|_| true));
    on("hv-stimer-direct", stimer.and_then(|stimer| stimer.direct));
    on("hv-reset", hyperv.reset);
    on("hv-frequencies", hyperv.frequencies);
    on("hv-reenlightenment", hyperv.reenlightenment);
    on("hv-tlbflush", hyperv.tlbflush);
    on("hv-ipi", hyperv.ipi);
    on("hv-evmcs", hyperv.evmcs);
    on("hv-avic", hyperv.avic);
    let retries = spinlocks.map(|locks| format!("{:#x}", locks.retries.unwrap_or(DEFAULT_SPINLOCK_RETRIES)));
    set_some(value, "hv-spinlocks", retries);
    set_some(value, "hv-vendor-id", vendor.and_then(|vendor| vendor.value.as_deref()));
}

/// How often a guest tries a lock before it tells the hypervisor, when the document is silent.
const DEFAULT_SPINLOCK_RETRIES: u32 = 0xfff;

fn add_kvm(kvm: &Kvm, value: &mut Value) {
    let on = |state: Option<bool>| state.filter(|state| *state);
    set_some(value, "kvm", on(kvm.hidden).map(|_| false));
    set_some(value, "kvm-hint-dedicated", on(kvm.hint_dedicated));
    set_some(value, "kvm-poll-control", on(kvm.poll_control));
    // The other way round: the feature is on unless the document switches it off.
    set_some(value, "kvm-pv-ipi", kvm.pv_ipi.filter(|state| !state));
}
