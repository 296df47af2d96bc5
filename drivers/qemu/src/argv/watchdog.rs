//! Watchdogs, and what happens when they bite.

use hostler_sdk::domain::watchdog::WatchdogAction;
use hostler_sdk::{Error, Value};

use super::builder::Builder;

/// All watchdogs. The action is one for the machine: that of the last.
pub(super) fn watchdogs(builder: &mut Builder<'_>) -> Result<(), Error> {
    let mut action = None;
    for watchdog in &builder.domain.devices.watchdogs {
        if !matches!(watchdog.model.as_str(), "i6300esb" | "ib700") {
            let what = format!("of model '{}' is not known to this driver", watchdog.model);
            return Err(builder.unsupported(watchdog.node, &what));
        }
        let mut value =
            Value::mapping().with("driver", watchdog.model.as_str()).with("id", builder.id(watchdog.node)?);
        builder.place(&mut value, watchdog.node, &watchdog.info)?;
        builder.device(watchdog.node, value);
        action = Some(match watchdog.action {
            // The guest waits while its memory is written out.
            WatchdogAction::Dump => "pause",
            other => other.as_str(),
        });
    }
    if let Some(action) = action {
        builder.option("watchdog-action", action);
    }
    Ok(())
}
