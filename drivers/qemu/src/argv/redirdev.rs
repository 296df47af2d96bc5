//! USB devices of somewhere else.

use hostler_sdk::domain::redirdev::RedirRule;
use hostler_sdk::{Error, Value};

use super::builder::{Builder, set_some};
use super::chardev::{self, Owner};

/// All redirected devices.
pub(super) fn redirdevs(builder: &mut Builder<'_>) -> Result<(), Error> {
    let filter = builder.domain.devices.redir_filter.as_deref().map(filter);
    for redirdev in &builder.domain.devices.redirdevs {
        let alias = builder.id(redirdev.node)?;
        let owner = Owner { node: redirdev.node, alias, spice_name: "usbredir", hosted: false };
        let chardev = chardev::add(builder, &owner, &redirdev.source)?;
        let mut value =
            Value::mapping().with("driver", "usb-redir").with("chardev", chardev).with("id", alias);
        set_some(&mut value, "filter", filter.as_deref());
        set_some(&mut value, "bootindex", redirdev.info.boot_order);
        builder.place(&mut value, redirdev.node, &redirdev.info)?;
        builder.device(redirdev.node, value);
    }
    Ok(())
}

/// The rules as QEMU reads them: `class:vendor:product:version:allow`, one after the other.
fn filter(rules: &[RedirRule]) -> String {
    let any = |number: Option<String>| number.unwrap_or_else(|| "-1".to_owned());
    let rules: Vec<String> = rules
        .iter()
        .map(|rule| {
            format!(
                "{}:{}:{}:{}:{}",
                any(rule.class.map(|class| format!("{class:#04X}").replace('X', "x"))),
                any(rule.vendor.map(|id| format!("{id:#06X}").replace('X', "x"))),
                any(rule.product.map(|id| format!("{id:#06X}").replace('X', "x"))),
                any(rule.version.map(|version| format!("{version:#06X}").replace('X', "x"))),
                u8::from(rule.allow)
            )
        })
        .collect();
    rules.join("|")
}
