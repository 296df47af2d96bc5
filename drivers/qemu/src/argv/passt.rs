//! User-mode networks that passt carries: a program beside QEMU, which makes the guest's connections its own.

use hostler_sdk::domain::interface::{Interface, PortProtocol};
use hostler_sdk::{Companion, Error, Symbol, Value};

use super::builder::Builder;
use super::{comparison, netdev};

/// The template of the host that says what passt may be given; the driver's grant names it too.
const TEMPLATE: &str = "passt";

/// The back end of an interface: one end of a link, whose other end is passt's. `device` is the one of the host whose addresses
/// and routes the guest has.
///
/// # Errors
/// What would write to a file of the host's.
pub(super) fn back_end(
    builder: &mut Builder<'_>,
    interface: &Interface,
    device: Option<&str>,
    id: &str,
) -> Result<Value, Error> {
    let alias = builder.id(interface.node)?;
    let address = if builder.inputs.facts.comparison {
        comparison::passt(builder.domain, alias)
    } else {
        if interface.backend_log.is_some() {
            let what = "names a file for what passt says, which goes to the domain's log here (hostler log)";
            return Err(builder.not_offered(interface.node, what));
        }
        let companion = program(builder, interface, device, alias);
        builder.launch.companions.push(companion);
        Value::mapping().with("type", "fd").with("str", Symbol::Link(alias.to_owned()))
    };
    Ok(Value::mapping().with("type", "stream").with("addr", address).with("server", false).with("id", id))
}

/// What passt is told. The host's own services stay its own: a guest that asks the gateway's address for them does not reach
/// them, as it would by passt's own choice.
fn program(builder: &Builder<'_>, interface: &Interface, device: Option<&str>, alias: &str) -> Companion {
    let mut program = Companion::new(alias, TEMPLATE);
    program.flag("foreground");
    program.flag("quiet");
    program.flag("no-map-gw");
    program.option("fd", Symbol::Link(alias.to_owned()));
    if let Some(device) = device {
        program.option("interface", device);
    }
    if let Some(mtu) = interface.mtu {
        program.option("mtu", mtu);
    }
    for ip in &interface.ips {
        program.option("address", ip.address.as_str());
        if let Some(prefix) = ip.prefix.filter(|_| !ip.is_ipv6()) {
            program.option("netmask", u32::from(prefix));
        }
    }
    let position = netdev::position(builder, interface);
    for (forward, at) in interface.port_forwards.iter().zip(0_u32..) {
        let name = match forward.protocol {
            PortProtocol::Tcp => "tcp-ports",
            PortProtocol::Udp => "udp-ports",
        };
        program.option(name, Symbol::ForwardedPorts { interface: position, forward: at });
    }
    program
}
