//! QEMU's own namespace: arguments, environment, capabilities and overrides.

use crate::error::XmlError;
use crate::read::Element;

/// The URI of QEMU's namespace; the prefix is the author's choice.
pub const NAMESPACE: &str = "http://libvirt.org/schemas/domain/qemu/1.0";

/// What a document says in QEMU's namespace.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QemuNamespace {
    /// Arguments to add to the command line.
    pub arguments: Vec<String>,
    /// Variables to add to the environment.
    pub environment: Vec<(String, String)>,
    /// Capabilities to pretend.
    pub capabilities_add: Vec<String>,
    /// Capabilities to deny.
    pub capabilities_del: Vec<String>,
    /// Properties of devices to override, by alias.
    pub overrides: Vec<DeviceOverride>,
    /// What happens when something deprecated is used (`<deprecation behavior>`).
    pub deprecation: Option<String>,
}

/// Properties of one device to override.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceOverride {
    /// Alias of the device.
    pub alias: String,
    /// Properties of the frontend.
    pub frontend: Vec<PropertyOverride>,
}

/// One property to override.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertyOverride {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: PropertyValue,
}

/// The value of an overridden property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PropertyValue {
    /// A text.
    String(String),
    /// A signed number.
    Signed(i64),
    /// An unsigned number.
    Unsigned(u64),
    /// A truth value.
    Bool(bool),
    /// The property is left out.
    Remove,
}

impl QemuNamespace {
    pub(crate) fn read(domain: Element<'_>) -> Result<Self, XmlError> {
        let mut read = Self::default();
        if let Some(commandline) = domain.child_in(NAMESPACE, "commandline") {
            for arg in commandline.children_in(NAMESPACE, "arg") {
                read.arguments.push(arg.get("value").ok_or_else(|| arg.missing("value"))?.to_owned());
            }
            for env in commandline.children_in(NAMESPACE, "env") {
                read.environment.push((env.need_string("name")?, env.string("value").unwrap_or_default()));
            }
        }
        if let Some(capabilities) = domain.child_in(NAMESPACE, "capabilities") {
            for add in capabilities.children_in(NAMESPACE, "add") {
                read.capabilities_add.push(add.need_string("capability")?);
            }
            for del in capabilities.children_in(NAMESPACE, "del") {
                read.capabilities_del.push(del.need_string("capability")?);
            }
        }
        if let Some(overrides) = domain.child_in(NAMESPACE, "override") {
            let devices = overrides.children_in(NAMESPACE, "device");
            read.overrides = devices.map(read_override).collect::<Result<_, _>>()?;
        }
        let deprecation = domain.child_in(NAMESPACE, "deprecation");
        read.deprecation = deprecation.and_then(|deprecation| deprecation.filled("behavior"));
        Ok(read)
    }
}

fn read_override(device: Element<'_>) -> Result<DeviceOverride, XmlError> {
    let mut frontend = Vec::new();
    for holder in device.children_in(NAMESPACE, "frontend") {
        for property in holder.children_in(NAMESPACE, "property") {
            frontend.push(read_property(property)?);
        }
    }
    Ok(DeviceOverride { alias: device.need_string("alias")?, frontend })
}

fn read_property(property: Element<'_>) -> Result<PropertyOverride, XmlError> {
    let value = || property.get("value").ok_or_else(|| property.missing("value"));
    let value = match property.need("type")? {
        "string" => PropertyValue::String(value()?.to_owned()),
        "signed" => {
            PropertyValue::Signed(property.signed("value")?.ok_or_else(|| property.missing("value"))?)
        }
        "unsigned" => PropertyValue::Unsigned(property.need_number("value")?),
        "bool" => match value()? {
            "true" => PropertyValue::Bool(true),
            "false" => PropertyValue::Bool(false),
            other => return Err(property.unknown(Some("value"), other, &["true", "false"])),
        },
        "remove" => PropertyValue::Remove,
        other => {
            return Err(property.unknown(
                Some("type"),
                other,
                &["string", "signed", "unsigned", "bool", "remove"],
            ));
        }
    };
    Ok(PropertyOverride { name: property.need_string("name")?, value })
}
