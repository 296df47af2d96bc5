//! Devices with which a guest says that it crashed.

use hostler_sdk::domain::address::Address;
use hostler_sdk::domain::panic::PanicModel;
use hostler_sdk::{Error, Value};

use super::builder::Builder;

/// All panic devices. The one for Hyper-V guests is a feature of the processor.
pub(super) fn panics(builder: &mut Builder<'_>) -> Result<(), Error> {
    for panic in &builder.domain.devices.panics {
        match panic.model {
            None | Some(PanicModel::Isa) => {
                let mut value = Value::mapping().with("driver", "pvpanic");
                if let Some(Address::Isa { iobase: Some(port), .. }) = panic.info.address {
                    value.set("ioport", port);
                }
                builder.device(panic.node, value);
            }
            Some(PanicModel::Pvpanic) => {
                let mut value = Value::mapping().with("driver", "pvpanic-pci");
                builder.place(&mut value, panic.node, &panic.info)?;
                builder.device(panic.node, value);
            }
            Some(PanicModel::HyperV) => {}
            Some(PanicModel::Pseries | PanicModel::S390) => {
                return Err(builder.unsupported(panic.node, "is of a model that x86 machines do not have"));
            }
        }
    }
    Ok(())
}
