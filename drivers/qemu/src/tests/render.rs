//! Writes a launch as a command line, with the syntaxes of the host's template: only for comparing. What starts a
//! guest is written by the host.

use hostler_sdk::domain::Domain;
use hostler_sdk::domain::disk::Disk;
use hostler_sdk::domain::storage_source::{Backing, Location, StorageSource};
use hostler_sdk::{BootFile, Launch, Symbol, Value};

/// Options that are written as JSON.
const JSON: &[&str] = &["device", "object", "blockdev", "netdev", "audiodev", "compat"];

/// Options whose first key is not written, and that key.
const IMPLIED: &[(&str, &str)] = &[
    ("machine", "type"),
    ("accel", "accel"),
    ("cpu", "model"),
    ("m", "size"),
    ("smp", "cpus"),
    ("numa", "type"),
    ("chardev", "backend"),
    ("display", "type"),
    ("sandbox", "enable"),
    ("vnc", "vnc"),
    ("fsdev", "fsdriver"),
    ("tpmdev", "type"),
    ("fw_cfg", "name"),
];

/// The arguments after the program's name.
pub(super) fn arguments(launch: &Launch, domain: &Domain) -> Vec<String> {
    let mut arguments = Vec::new();
    for (name, value) in &launch.options {
        arguments.push(format!("-{name}"));
        if let Some(value) = value {
            arguments.push(written(name, value, domain));
        }
    }
    arguments
}

fn written(name: &str, value: &Value, domain: &Domain) -> String {
    match value {
        Value::Mapping(_) if JSON.contains(&name) => value.to_json(&|symbol| path(symbol, domain)),
        Value::Mapping(entries) => keyed(name, entries, domain),
        scalar => text(scalar, domain),
    }
}

fn keyed(name: &str, entries: &[(String, Value)], domain: &Domain) -> String {
    let implied = IMPLIED.iter().find(|(option, _)| *option == name).map(|(_, key)| *key);
    let mut parts = Vec::new();
    for (key, value) in entries {
        if matches!(value, Value::Handle(Symbol::Monitor)) {
            parts.push("socket,fd=1729,server=on,wait=off".to_owned());
            continue;
        }
        let text = text(value, domain).replace(',', ",,");
        parts.push(match value {
            Value::Null => key.clone(),
            _ if implied == Some(key.as_str()) => text,
            _ => format!("{key}={text}"),
        });
    }
    parts.join(",")
}

fn text(value: &Value, domain: &Domain) -> String {
    match value {
        Value::Boolean(on) => if *on { "on" } else { "off" }.to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Text(text) => text.clone(),
        Value::Handle(symbol) => path(symbol, domain),
        Value::Null | Value::Sequence(_) | Value::Mapping(_) => String::new(),
    }
}

/// What a handle stands for, as the document has it.
fn path(symbol: &Symbol, domain: &Domain) -> String {
    let os = &domain.os;
    let found = match symbol {
        Symbol::Image { disk, layer } => domain.devices.disk(disk).and_then(|disk| image(disk, *layer)),
        Symbol::Code => Some("<code>".to_owned()),
        Symbol::VariableStore => Some("<variable store>".to_owned()),
        Symbol::File(BootFile::Kernel) => os.kernel.clone(),
        Symbol::File(BootFile::InitialRamDisk) => os.initrd.clone(),
        Symbol::File(BootFile::DeviceTree) => os.dtb.clone(),
        Symbol::File(BootFile::AcpiTable) => os.acpi_slic.clone(),
        Symbol::Endpoint(alias) => Some(format!("<endpoint {alias}>")),
        Symbol::Socket(name) => Some(format!("<socket {name}>")),
        Symbol::Viewers { alias, .. } => Some(format!("<viewers {alias}>")),
        Symbol::Listener(alias) => Some(format!("<listener {alias}>")),
        Symbol::Interface(at) => Some(format!("<interface {at}>")),
        Symbol::ForwardedPorts { interface, forward } => Some(format!("<ports {forward} of {interface}>")),
        Symbol::DiskSecret { disk, layer } => Some(format!("<secret of {disk} {layer}>")),
        Symbol::Link(name) => Some(format!("<link {name}>")),
        Symbol::SharedFolder(at) => Some(format!("<shared folder {at}>")),
        Symbol::Directory(name) => Some(format!("<directory {name}>")),
        Symbol::Monitor | Symbol::Output | Symbol::Input => None,
    };
    found.unwrap_or_else(|| format!("<{symbol:?}>"))
}

fn image(disk: &Disk, layer: u32) -> Option<String> {
    let mut source: &StorageSource = &disk.source;
    for _ in 0..layer {
        let Backing::Layer(below) = &source.backing else { return None };
        source = below;
    }
    match &source.location {
        Location::File(path) | Location::Block(path) => Some(path.clone()),
        _ => None,
    }
}
