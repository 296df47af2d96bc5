//! The host's side of network interfaces.

use hostler_sdk::domain::interface::{GuestIp, Interface, InterfaceBackend, InterfaceSource, SocketEnds};
use hostler_sdk::{Error, ProblemExt, Symbol, Value};

use super::builder::{Builder, set_some};
use super::{comparison, passt};

/// The device that Linux makes taps with.
const TAP_CONTROL: &str = "/dev/net/tun";

/// A port of the guest's user network that leads to a character device.
pub(super) fn guest_forward(address: &str, port: u32, chardev: &str, id: &str) -> Value {
    let forward = Value::mapping().with("str", format!("tcp:{address}:{port}-chardev:{chardev}"));
    Value::mapping().with("type", "user").with("guestfwd", vec![forward]).with("id", id)
}

/// The back end of an interface.
///
/// # Errors
/// A back end that needs something of the host's network that this host does not offer.
pub(super) fn back_end(builder: &mut Builder<'_>, interface: &Interface, id: &str) -> Result<Value, Error> {
    let value = Value::mapping();
    match &interface.source {
        InterfaceSource::User { dev } if interface.is_passt() => {
            passt::back_end(builder, interface, dev.as_deref(), id)
        }
        InterfaceSource::User { .. } => {
            Ok(add_addresses(value.with("type", "user"), &interface.ips).with("id", id))
        }
        InterfaceSource::VhostUser { path, server, reconnect } => {
            need_comparison(builder, interface, "vhostuser")?;
            let chardev = format!("char{}", builder.id(interface.node)?);
            let delay = reconnect.as_ref().filter(|one| one.enabled).and_then(|one| one.timeout_s);
            builder.option("chardev", comparison::vhost_user_socket(&chardev, path, *server, delay));
            let mut value = value.with("type", "vhost-user").with("chardev", chardev);
            set_some(&mut value, "queues", interface.driver.queues.filter(|queues| *queues > 1));
            Ok(value.with("id", id))
        }
        InterfaceSource::Vdpa { .. } => {
            need_comparison(builder, interface, "vdpa")?;
            Ok(comparison::vdpa(builder, interface, id))
        }
        InterfaceSource::Mcast(ends) => socket(builder, interface, "mcast", ends, id),
        InterfaceSource::Server(ends) => socket(builder, interface, "listen", ends, id),
        InterfaceSource::Client(ends) => socket(builder, interface, "connect", ends, id),
        InterfaceSource::Udp(ends) => socket(builder, interface, "udp", ends, id),
        InterfaceSource::Network { .. } | InterfaceSource::Bridge { .. } | InterfaceSource::Ethernet => {
            tap(builder, interface, id)
        }
        InterfaceSource::Direct { .. } => {
            need_comparison(builder, interface, kind(&interface.source))?;
            Ok(comparison::tap(interface, id))
        }
        InterfaceSource::Hostdev { .. }
        | InterfaceSource::Null
        | InterfaceSource::Vds
        | InterfaceSource::Internal { .. } => {
            let what = format!("of type '{}' is not supported by this driver", kind(&interface.source));
            Err(builder.unsupported(interface.node, &what))
        }
    }
}

/// A tap device, which the host makes and joins to what the document names.
fn tap(builder: &Builder<'_>, interface: &Interface, id: &str) -> Result<Value, Error> {
    if builder.inputs.facts.comparison {
        return Ok(comparison::tap(interface, id));
    }
    if interface.driver.name == Some(InterfaceBackend::Vhost) {
        let what = "is to be driven by the host's kernel (vhost), which this host does not hand on";
        return Err(builder.not_offered(interface.node, what));
    }
    if interface.tap_path.as_deref().is_some_and(|path| path != TAP_CONTROL) {
        let what = "names the device that taps are made with, which is the host's to choose";
        return Err(builder.not_offered(interface.node, what));
    }
    let symbol = Symbol::Interface(position(builder, interface));
    let several = interface.driver.queues.is_some_and(|queues| queues > 1);
    let mut value = Value::mapping().with("type", "tap").with(if several { "fds" } else { "fd" }, symbol);
    set_some(&mut value, "sndbuf", interface.sndbuf);
    Ok(value.with("id", id))
}

/// Where an interface stands among the document's.
pub(super) fn position(builder: &Builder<'_>, interface: &Interface) -> u32 {
    let all = &builder.domain.devices.interfaces;
    let position = all.iter().position(|other| other.node == interface.node).unwrap_or_default();
    u32::try_from(position).unwrap_or(u32::MAX)
}

/// Whether an interface is a device of the host, which appears among those: only ever compared.
pub(super) fn is_host_device(builder: &Builder<'_>, interface: &Interface) -> bool {
    builder.inputs.facts.comparison && matches!(interface.source, InterfaceSource::Hostdev { .. })
}

/// The word that the document has for a kind of interface.
pub(super) fn kind(source: &InterfaceSource) -> &'static str {
    match source {
        InterfaceSource::Network { .. } => "network",
        InterfaceSource::Bridge { .. } => "bridge",
        InterfaceSource::Direct { .. } => "direct",
        InterfaceSource::User { .. } => "user",
        InterfaceSource::Ethernet => "ethernet",
        InterfaceSource::VhostUser { .. } => "vhostuser",
        InterfaceSource::Vdpa { .. } => "vdpa",
        InterfaceSource::Mcast(_) => "mcast",
        InterfaceSource::Server(_) => "server",
        InterfaceSource::Client(_) => "client",
        InterfaceSource::Udp(_) => "udp",
        InterfaceSource::Hostdev { .. } => "hostdev",
        InterfaceSource::Null => "null",
        InterfaceSource::Vds => "vds",
        InterfaceSource::Internal { .. } => "internal",
    }
}

/// What needs a device, a socket or a namespace of the host is only ever compared.
fn need_comparison(builder: &Builder<'_>, interface: &Interface, kind: &str) -> Result<(), Error> {
    if builder.inputs.facts.comparison {
        return Ok(());
    }
    let what = format!("of type '{kind}' needs something of the host's network that drivers are not offered");
    Err(builder
        .at(interface.node, "qemu.interface-type", &what)
        .hint("use <interface type='network'>, type='bridge' or type='user'")
        .unsupported())
}

/// The networks of a user interface: the guest's own addresses say which.
fn add_addresses(mut value: Value, ips: &[GuestIp]) -> Value {
    for ip in ips {
        if ip.is_ipv6() {
            value.set("ipv6-prefix", ip.address.as_str());
            set_some(&mut value, "ipv6-prefixlen", ip.prefix.map(u32::from));
        } else {
            let length = ip.prefix.map(|prefix| format!("/{prefix}")).unwrap_or_default();
            value.set("net", format!("{}{length}", ip.address));
        }
    }
    value
}

fn socket(
    builder: &Builder<'_>,
    interface: &Interface,
    way: &str,
    ends: &SocketEnds,
    id: &str,
) -> Result<Value, Error> {
    need_comparison(builder, interface, kind(&interface.source))?;
    let address = ends.address.as_deref().unwrap_or_default();
    let mut value = Value::mapping().with("type", "socket").with(way, format!("{address}:{}", ends.port));
    if let Some(local) = &ends.local_address {
        value.set("localaddr", format!("{local}:{}", ends.local_port.unwrap_or(0)));
    }
    Ok(value.with("id", id))
}
