//! `hostler net`: virtual networks that guests are connected to.

mod autostart;
mod define;
mod leases;
mod list;
mod show;
mod start;
mod stop;
mod undefine;
mod xml;

use clap::{Args, Subcommand};
use hostler_domains::{NetworkRef, NetworkSummary};
use serde_json::json;

use super::view;
use crate::failure::Stop;
use crate::output::colour::Tone;
use crate::output::table::Cell;
use crate::output::{Block, Reply};
use crate::session::Session;

/// Work with virtual networks: bridges with addresses for guests, and a way out
///
/// A network that is started has a bridge, rules of the firewall and, where it gives out addresses or names, a dnsmasq
/// of its own. Interfaces of type 'network' are connected to it. Networks are root's to start and to stop.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Net {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Define(define::Define),
    List(list::List),
    Show(show::Show),
    Xml(xml::Xml),
    Start(start::Start),
    Stop(stop::Stop),
    Autostart(autostart::Autostart),
    Leases(leases::Leases),
    Undefine(undefine::Undefine),
}

impl Net {
    /// Does what was asked.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        match self.what {
            What::Define(command) => command.run(session),
            What::List(command) => command.run(session),
            What::Show(command) => command.run(session),
            What::Xml(command) => command.run(session),
            What::Start(command) => command.run(session),
            What::Stop(command) => command.run(session),
            What::Autostart(command) => command.run(session),
            What::Leases(command) => command.run(session),
            What::Undefine(command) => command.run(session),
        }
    }
}

/// The network that a command is about.
#[derive(Clone, Debug, Args)]
pub(super) struct NetworkTarget {
    /// Name or UUID of the network
    #[arg(value_name = "NETWORK")]
    network: String,
}

impl NetworkTarget {
    pub(super) fn reference(&self) -> NetworkRef {
        NetworkRef::new(self.network.as_str())
    }
}

/// `active` or `inactive`, in the tone that it has.
fn state(active: bool) -> Cell {
    if active { Cell::new("active").tone(Tone::Good) } else { Cell::new("inactive").tone(Tone::Faint) }
}

/// The reply of a command that changed what one network is.
fn changed(network: &NetworkSummary, done: &str) -> Result<Reply, Stop> {
    let line = format!("network '{}' {done}", network.name);
    Ok(Reply::confirmation(json!({"network": view::to_json(network)?}), vec![Block::Line(line)]))
}

#[cfg(test)]
pub(super) mod samples {
    use hostler_domains::NetworkSummary;

    /// A network of that name.
    pub(crate) fn network(name: &str, active: bool) -> NetworkSummary {
        NetworkSummary {
            name: name.into(),
            uuid: "c7a5fdbd-edaf-9455-926a-d65c16db1809".parse().unwrap(),
            mode: "nat".into(),
            active,
            persistent: true,
            autostart: !active,
            bridge: Some("hostler0".into()),
            addresses: vec!["192.168.122.1/24".into()],
            problem: None,
        }
    }
}
