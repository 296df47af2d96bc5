//! Back ends of character devices: where the bytes of a port go.

use hostler_sdk::domain::NodeId;
use hostler_sdk::domain::chardev::{CharBackend, CharSource, ClipboardMouse};
use hostler_sdk::{Error, Symbol, Value};

use super::builder::{Builder, set_some};
use super::comparison;

/// Who a back end belongs to.
pub(super) struct Owner<'a> {
    /// The device's element.
    pub(super) node: NodeId,
    /// The device's id.
    pub(super) alias: &'a str,
    /// What a SPICE client knows its channel by.
    pub(super) spice_name: &'static str,
    /// Whether the host has an endpoint for this kind of device.
    pub(super) hosted: bool,
}

/// Adds a device's back end. The answer is its id.
///
/// # Errors
/// A back end that neither the host nor QEMU can offer here.
pub(super) fn add(
    builder: &mut Builder<'_>,
    owner: &Owner<'_>,
    source: &CharSource,
) -> Result<String, Error> {
    let id = format!("char{}", owner.alias);
    let value = Value::mapping();
    let value = match &source.backend {
        CharBackend::SpiceVmc => {
            value.with("backend", "spicevmc").with("id", id.as_str()).with("name", owner.spice_name)
        }
        CharBackend::SpicePort { channel } => {
            value.with("backend", "spiceport").with("id", id.as_str()).with("name", channel.as_str())
        }
        CharBackend::QemuVdagent { clipboard, mouse } => {
            let mut value =
                value.with("backend", "qemu-vdagent").with("id", id.as_str()).with("name", "vdagent");
            set_some(&mut value, "clipboard", *clipboard);
            set_some(&mut value, "mouse", mouse.map(|mouse| mouse == ClipboardMouse::Client));
            value
        }
        backend if owner.hosted && is_hosted(backend) => return Ok(hosted(builder, owner, source, id)),
        backend if builder.inputs.facts.comparison => comparison::backend(backend, &id, owner.alias),
        backend => return Err(refused(builder, owner, backend)),
    };
    builder.option("chardev", value);
    Ok(id)
}

/// Back ends that the host opens and keeps.
fn is_hosted(backend: &CharBackend) -> bool {
    match backend {
        CharBackend::Null
        | CharBackend::Pty { .. }
        | CharBackend::File { .. }
        | CharBackend::Udp { .. }
        | CharBackend::Unix { .. } => true,
        CharBackend::Tcp { tls, .. } => *tls != Some(true),
        _ => false,
    }
}

fn hosted(builder: &mut Builder<'_>, owner: &Owner<'_>, source: &CharSource, id: String) -> String {
    let value = if builder.inputs.facts.comparison {
        comparison::hosted_backend(builder, source, &id, owner.alias)
    } else {
        // Where a copy of the output goes (<log>) is the host's work: it holds the other end.
        Value::mapping().with("backend", Symbol::Endpoint(owner.alias.to_owned())).with("id", id.as_str())
    };
    builder.option("chardev", value);
    id
}

fn refused(builder: &Builder<'_>, owner: &Owner<'_>, backend: &CharBackend) -> Error {
    let kind = match backend {
        CharBackend::Vc => "vc",
        CharBackend::Stdio => "stdio",
        CharBackend::Dev { .. } => "dev",
        CharBackend::Pipe { .. } => "pipe",
        CharBackend::Nmdm { .. } => "nmdm",
        CharBackend::Dbus { .. } => "dbus",
        CharBackend::Tcp { .. } => "tcp (with TLS)",
        _ => "this",
    };
    builder.not_offered(
        owner.node,
        &format!("has a back end of type '{kind}', which this host does not offer to it"),
    )
}
