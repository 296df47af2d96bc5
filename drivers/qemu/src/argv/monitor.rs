//! The control connection, and what QEMU may do and says.

use hostler_sdk::{Error, Symbol, Value};

use super::builder::Builder;

/// The monitor that the host speaks to.
pub(super) fn monitor(builder: &mut Builder<'_>) -> Result<(), Error> {
    builder.option("chardev", Value::mapping().with("backend", Symbol::Monitor).with("id", "charmonitor"));
    let monitor =
        Value::mapping().with("chardev", "charmonitor").with("id", "monitor").with("mode", "control");
    builder.option("mon", monitor);
    Ok(())
}

/// QEMU's own filter of system calls.
pub(super) fn sandbox(builder: &mut Builder<'_>) -> Result<(), Error> {
    let mut value = Value::mapping().with("enable", "on");
    for what in ["obsolete", "elevateprivileges", "spawn", "resourcecontrol"] {
        value.set(what, "deny");
    }
    builder.option("sandbox", value);
    Ok(())
}

/// Messages carry the time.
pub(super) fn messages(builder: &mut Builder<'_>) -> Result<(), Error> {
    builder.option("msg", Value::mapping().with("timestamp", true));
    Ok(())
}
