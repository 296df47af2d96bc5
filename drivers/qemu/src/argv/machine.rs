//! `-machine` and `-accel`.

use hostler_sdk::domain::DomainType;
use hostler_sdk::domain::features::{GicVersion, IoApic};
use hostler_sdk::domain::memory_device::MemoryModel;
use hostler_sdk::{Error, ProblemExt, Value, problem};

use super::builder::{Builder, set_some};
use super::memory_backend;
use crate::blockdev;
use crate::machine::DEFAULT_MACHINE;

/// `-machine`
pub(super) fn machine(builder: &mut Builder<'_>) -> Result<(), Error> {
    let domain = builder.domain;
    let features = &domain.features;
    let mut value = Value::mapping()
        .with("type", domain.os.machine.as_deref().unwrap_or(DEFAULT_MACHINE))
        .with("usb", false);
    set_some(&mut value, "vmport", features.vmport.map(on_off));
    set_some(&mut value, "smm", smm(builder).map(on_off));
    value.set("dump-guest-core", domain.dump_core.unwrap_or(false));
    set_some(&mut value, "mem-merge", domain.memory_backing.no_share_pages.then_some(false));
    set_some(&mut value, "nvdimm", has_nvdimm(builder).then_some(true));
    set_some(&mut value, "kernel_irqchip", irqchip(builder));
    set_some(&mut value, "i8042", features.ps2);
    // Without a screen to draw on, the BIOS writes to the first serial port.
    let serial_only = domain.os.bios.as_ref().and_then(|bios| bios.use_serial) == Some(true);
    set_some(&mut value, "graphics", serial_only.then_some(false));
    if let Some(gic) = features.gic.as_ref().and_then(|gic| gic.version) {
        value.set("gic-version", if gic == GicVersion::Host { "host" } else { gic.as_str() });
    }
    set_some(&mut value, "pcspk-audiodev", super::sound::speaker_backend(builder)?);
    if let Some(firmware) = builder.inputs.firmware.filter(|firmware| firmware.is_flash) {
        value.set("pflash0", blockdev::flash_format_name(0));
        set_some(
            &mut value,
            "pflash1",
            firmware.store_format.as_ref().map(|_| blockdev::flash_format_name(1)),
        );
    }
    set_some(
        &mut value,
        "memory-backend",
        memory_backend::whole_memory(builder).then_some(memory_backend::WHOLE_ID),
    );
    builder.option("machine", value);
    Ok(())
}

/// Switches of the machine that may also be left to it (`auto`) are words.
fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

fn smm(builder: &Builder<'_>) -> Option<bool> {
    let asked = builder.domain.features.smm.as_ref().map(|smm| smm.state);
    let needed = builder.inputs.firmware.is_some_and(|firmware| firmware.needs_smm);
    let secure = builder.domain.os.loader.as_ref().and_then(|loader| loader.secure) == Some(true);
    asked.or((needed || secure).then_some(true))
}

fn has_nvdimm(builder: &Builder<'_>) -> bool {
    builder.domain.devices.memories.iter().any(|memory| memory.model == MemoryModel::Nvdimm)
}

fn irqchip(builder: &Builder<'_>) -> Option<&'static str> {
    builder.domain.features.ioapic.map(|ioapic| match ioapic {
        IoApic::Qemu => "split",
        IoApic::Kvm => "on",
    })
}

/// `-accel`
pub(super) fn accelerator(builder: &mut Builder<'_>) -> Result<(), Error> {
    let features = &builder.domain.features;
    let value = match &builder.domain.kind {
        DomainType::Kvm => {
            builder.inputs.facts.need_kvm()?;
            let ring =
                features.kvm.as_ref().and_then(|kvm| kvm.dirty_ring.as_ref()).filter(|ring| ring.state);
            let mut value = Value::mapping().with("accel", "kvm");
            set_some(&mut value, "dirty-ring-size", ring.and_then(|ring| ring.size));
            value
        }
        DomainType::Qemu => {
            let mut value = Value::mapping().with("accel", "tcg");
            set_some(&mut value, "tb-size", features.tcg_tb_cache.map(|size| size.mib()));
            value
        }
        other => {
            return Err(problem("qemu.domain-type", format!("QEMU does not run domains of type '{other}'"))
                .hint("use <domain type='kvm'>, or type='qemu' where there is no KVM")
                .unsupported());
        }
    };
    builder.option("accel", value);
    Ok(())
}

/// The size of the memory that only system management mode sees.
pub(super) fn tseg(builder: &mut Builder<'_>) -> Result<(), Error> {
    if let Some(size) = builder.domain.features.smm.filter(|smm| smm.state).and_then(|smm| smm.tseg) {
        builder.option("global", Value::mapping().with("mch.extended-tseg-mbytes", size.mib()));
    }
    Ok(())
}
