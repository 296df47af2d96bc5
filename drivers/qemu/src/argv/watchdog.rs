//! Watchdogs, and what happens when they bite.

use hostler_sdk::domain::watchdog::{Watchdog, WatchdogAction};
use hostler_sdk::{Error, Value};

use super::builder::Builder;

/// All watchdogs. The action is one for the machine: that of the last.
pub(super) fn watchdogs(builder: &mut Builder<'_>) -> Result<(), Error> {
    let watchdogs = &builder.domain.devices.watchdogs;
    watchdogs.iter().try_for_each(|watchdog| one(builder, watchdog))?;
    if let Some(last) = watchdogs.last() {
        builder.option("watchdog-action", action(last));
    }
    Ok(())
}

/// One watchdog.
///
/// # Errors
/// A model that this driver does not know; an address that is not there.
pub(super) fn one(builder: &mut Builder<'_>, watchdog: &Watchdog) -> Result<(), Error> {
    if !matches!(watchdog.model.as_str(), "i6300esb" | "ib700") {
        let what = format!("of model '{}' is not known to this driver", watchdog.model);
        return Err(builder.unsupported(watchdog.node, &what));
    }
    let mut value =
        Value::mapping().with("driver", watchdog.model.as_str()).with("id", builder.id(watchdog.node)?);
    builder.place(&mut value, watchdog.node, &watchdog.info)?;
    builder.device(watchdog.node, value);
    Ok(())
}

/// What QEMU does when a watchdog bites.
pub(crate) fn action(watchdog: &Watchdog) -> &'static str {
    match watchdog.action {
        // The guest waits while its memory is written out.
        WatchdogAction::Dump => "pause",
        other => other.as_str(),
    }
}
