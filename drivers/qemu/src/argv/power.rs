//! Switching off, sleeping, and what survives a crash.

use hostler_sdk::{Error, Value};

use super::builder::Builder;

/// A guest that switches itself off leaves its hypervisor paused; the driver decides what follows.
pub(super) fn no_shutdown(builder: &mut Builder<'_>) -> Result<(), Error> {
    builder.launch.flag("no-shutdown");
    Ok(())
}

/// A document without `<acpi/>` means a machine without ACPI.
pub(super) fn acpi(builder: &mut Builder<'_>) -> Result<(), Error> {
    if !builder.domain.features.acpi {
        builder.launch.flag("no-acpi");
    }
    Ok(())
}

/// Whether the machine offers the guest to sleep.
pub(super) fn sleep_states(builder: &mut Builder<'_>) -> Result<(), Error> {
    let device = if builder.machine.is_express() { "ICH9-LPC" } else { "PIIX4_PM" };
    let pm = builder.domain.pm;
    for (state, enabled) in [("s3", pm.suspend_to_mem), ("s4", pm.suspend_to_disk)] {
        if let Some(enabled) = enabled {
            builder.option(
                "global",
                Value::mapping().with(&format!("{device}.disable_{state}"), u32::from(!enabled)),
            );
        }
    }
    Ok(())
}

/// The device with which a guest says where its crash notes are.
pub(super) fn core_info(builder: &mut Builder<'_>) -> Result<(), Error> {
    if builder.domain.features.vmcoreinfo == Some(true) {
        builder.bare_device(Value::mapping().with("driver", "vmcoreinfo"));
    }
    Ok(())
}
