//! USB hubs.

use hostler_sdk::{Error, Value};

use super::builder::Builder;

/// All hubs.
pub(super) fn hubs(builder: &mut Builder<'_>) -> Result<(), Error> {
    for hub in &builder.domain.devices.hubs {
        let mut value = Value::mapping().with("driver", "usb-hub").with("id", builder.id(hub.node)?);
        builder.place(&mut value, hub.node, &hub.info)?;
        builder.device(hub.node, value);
    }
    Ok(())
}
