//! How a network reaches others.

use std::net::Ipv4Addr;

use crate::error::XmlError;
use crate::read::Element;

keywords! {
    /// How a network reaches others.
    ForwardMode {
        Nat = "nat", Route = "route", Open = "open", Bridge = "bridge", Private = "private", Vepa = "vepa",
        Passthrough = "passthrough", Hostdev = "hostdev", None = "none",
    }
}

/// `<forward>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// How packets leave.
    pub mode: ForwardMode,
    /// The only device of the host that they leave by.
    pub dev: Option<String>,
    /// How addresses are translated.
    pub nat: Nat,
    /// Devices of the host that interfaces are put on (macvtap, or passed through).
    pub devices: Vec<String>,
}

/// `<nat>`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Nat {
    /// Whether addresses of IPv6 are translated too.
    pub ipv6: bool,
    /// The addresses that packets leave with, first and last; the host's own when none.
    pub addresses: Option<(Ipv4Addr, Ipv4Addr)>,
    /// The ports that they leave with, first and last.
    pub ports: Option<(u16, u16)>,
}

impl Forward {
    pub(super) fn read(forward: Element<'_>) -> Result<Self, XmlError> {
        let dev = forward.filled("dev");
        let mut devices = forward.each("interface", |interface| interface.need_string("dev"))?;
        devices.extend(forward.each("pf", |pf| pf.need_string("dev"))?);
        Ok(Self {
            mode: forward.keyword("mode")?.unwrap_or(ForwardMode::Nat),
            dev: dev.or_else(|| devices.first().cloned()),
            nat: forward.maybe("nat", read_nat)?.unwrap_or_default(),
            devices,
        })
    }
}

fn read_nat(nat: Element<'_>) -> Result<Nat, XmlError> {
    let addresses =
        nat.maybe("address", |address| Ok((read_v4(address, "start")?, read_v4(address, "end")?)))?;
    let ports = nat.maybe("port", |port| Ok((port.need_number("start")?, port.need_number("end")?)))?;
    Ok(Nat { ipv6: nat.yes_no("ipv6")?.unwrap_or(false), addresses, ports })
}

fn read_v4(element: Element<'_>, name: &'static str) -> Result<Ipv4Addr, XmlError> {
    let text = element.need(name)?;
    text.parse().map_err(|_| element.invalid(Some(name), text, "an IPv4 address"))
}
