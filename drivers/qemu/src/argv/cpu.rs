//! `-cpu`: the processor's model and features.

use hostler_sdk::domain::DomainType;
use hostler_sdk::domain::cpu::{CacheSource, Cpu, CpuMode, FeaturePolicy, PhysicalBitsMode};
use hostler_sdk::{Error, ProblemExt, Value, problem};

use super::builder::{Builder, set_some};
use super::cpu_features;
use crate::machine::default_cpu_model;

/// `-cpu`
pub(super) fn cpu(builder: &mut Builder<'_>) -> Result<(), Error> {
    let domain = builder.domain;
    let mut value = match &domain.cpu {
        Some(cpu) if names_model(cpu) => named(builder, cpu)?,
        _ => Value::mapping().with("model", default_cpu_model(domain.devices.emulator.as_deref())),
    };
    cpu_features::add(domain, &mut value);
    if let Some(cpu) = &domain.cpu {
        add_cache(cpu, &mut value);
        add_address_bits(cpu, &mut value);
    }
    builder.option("cpu", value);
    Ok(())
}

/// An element without mode and model only says how processors are arranged.
fn names_model(cpu: &Cpu) -> bool {
    match cpu.mode {
        None | Some(CpuMode::Custom) => cpu.model.as_ref().is_some_and(|model| model.name.is_some()),
        Some(_) => true,
    }
}

fn named(builder: &Builder<'_>, cpu: &Cpu) -> Result<Value, Error> {
    let mut value = match cpu.mode {
        Some(CpuMode::HostPassthrough) => passthrough(builder, cpu)?,
        Some(CpuMode::Maximum) => {
            let mut value = Value::mapping().with("model", "max");
            set_some(&mut value, "migratable", cpu.migratable.filter(|migratable| !migratable));
            value
        }
        // The closest model that every QEMU has: what `host` means, as far as it survives a migration.
        Some(CpuMode::HostModel) => host_model(builder),
        None | Some(CpuMode::Custom) => {
            let name = cpu.model.as_ref().and_then(|model| model.name.as_deref()).unwrap_or_default();
            Value::mapping().with("model", name)
        }
    };
    set_some(&mut value, "vendor", cpu.model.as_ref().and_then(|model| model.vendor_id.as_deref()));
    for feature in &cpu.features {
        let on = match feature.policy {
            FeaturePolicy::Force | FeaturePolicy::Require => true,
            FeaturePolicy::Disable | FeaturePolicy::Forbid => false,
            FeaturePolicy::Optional => continue,
        };
        value.set(&qemu_name(&feature.name), on);
    }
    Ok(value)
}

fn passthrough(builder: &Builder<'_>, cpu: &Cpu) -> Result<Value, Error> {
    if builder.domain.kind != DomainType::Kvm {
        return Err(problem(
            "qemu.cpu-passthrough",
            "a CPU mode 'host-passthrough' needs KVM, and the domain's type is 'qemu'",
        )
        .hint("use <cpu mode='maximum'/>, or <domain type='kvm'>")
        .unsupported());
    }
    // A guest whose state is expected to survive a migration has no use for features that do not.
    Ok(Value::mapping().with("model", "host").with("migratable", cpu.migratable.unwrap_or(true)))
}

fn host_model(builder: &Builder<'_>) -> Value {
    if builder.domain.kind == DomainType::Kvm {
        Value::mapping().with("model", "host").with("migratable", true)
    } else {
        Value::mapping().with("model", "max")
    }
}

fn add_cache(cpu: &Cpu, value: &mut Value) {
    let Some(cache) = &cpu.cache else { return };
    let of_host = matches!(cpu.mode, Some(CpuMode::HostPassthrough | CpuMode::Maximum));
    match cache.mode {
        CacheSource::Emulate => {
            value.set("l3-cache", true);
            set_some(value, "host-cache-info", of_host.then_some(false));
        }
        CacheSource::Passthrough => {
            value.set("host-cache-info", true);
            value.set("l3-cache", false);
        }
        CacheSource::Disable => {
            set_some(value, "host-cache-info", of_host.then_some(false));
            value.set("l3-cache", false);
        }
    }
}

fn add_address_bits(cpu: &Cpu, value: &mut Value) {
    let Some(bits) = &cpu.max_phys_addr else { return };
    match bits.mode {
        PhysicalBitsMode::Passthrough => {
            value.set("host-phys-bits", true);
            set_some(value, "host-phys-bits-limit", bits.limit);
        }
        PhysicalBitsMode::Emulate => set_some(value, "phys-bits", bits.bits),
    }
}

/// Features that QEMU spells in another way than libvirt, apart from dashes for underscores.
const RENAMED: &[(&str, &str)] = &[
    ("cmp_legacy", "cmp-legacy"),
    ("cmt", "cmt"),
    ("ds_cpl", "ds-cpl"),
    ("fxsr_opt", "fxsr-opt"),
    ("kvm_pv_eoi", "kvm-pv-eoi"),
    ("kvm_pv_unhalt", "kvm-pv-unhalt"),
    ("lahf_lm", "lahf-lm"),
    ("nodeid_msr", "nodeid-msr"),
    ("nrip_save", "nrip-save"),
    ("pause_filter", "pause-filter"),
    ("pclmuldq", "pclmulqdq"),
    ("perfctr_core", "perfctr-core"),
    ("perfctr_nb", "perfctr-nb"),
    ("svm_lock", "svm-lock"),
    ("tsc_adjust", "tsc-adjust"),
    ("tsc_scale", "tsc-scale"),
    ("vmcb_clean", "vmcb-clean"),
];

/// A feature's name as QEMU has it.
fn qemu_name(name: &str) -> String {
    let renamed = RENAMED.iter().find(|(ours, _)| *ours == name).map(|(_, theirs)| (*theirs).to_owned());
    renamed.unwrap_or_else(|| name.replace('_', "-"))
}
