//! What verbs about networks answer.

use hostler_network::Lease;
use hostler_state::Uuid;
use serde::Serialize;

use crate::summary::Warning;

/// One line about a network.
#[derive(Clone, Debug, Serialize)]
pub struct NetworkSummary {
    /// Its name.
    pub name: String,
    /// Its identifier.
    pub uuid: Uuid,
    /// How it reaches others: `nat`, `route`, `open`, `isolated`, `bridge` …
    pub mode: String,
    /// Whether it is started.
    pub active: bool,
    /// Whether it is there when it is not started.
    pub persistent: bool,
    /// Whether it is started after a boot of the machine.
    pub autostart: bool,
    /// Its bridge.
    pub bridge: Option<String>,
    /// The host's addresses in it, with their prefixes.
    pub addresses: Vec<String>,
    /// Why its document cannot be read, if it cannot: it is listed all the same, and can be undefined.
    pub problem: Option<String>,
}

/// Everything about a network.
#[derive(Clone, Debug, Serialize)]
pub struct NetworkDetails {
    /// The line about it.
    #[serde(flatten)]
    pub summary: NetworkSummary,
    /// Network devices on its bridge, those of guests among them.
    pub ports: Vec<String>,
    /// What of it is not there although it is started.
    pub missing: Vec<String>,
    /// How many addresses are lent.
    pub leases: usize,
    /// Running domains with interfaces in it.
    pub domains: Vec<String>,
    /// How many times the definition was changed.
    pub generation: u64,
    /// When it was first defined, in milliseconds since 1970.
    pub created_unix_ms: u64,
    /// Elements of the document that this version keeps and does not act on.
    pub unmodelled: Vec<String>,
}

/// A network that was stored.
#[derive(Clone, Debug, Serialize)]
pub struct NetworkDefined {
    /// The network.
    pub summary: NetworkSummary,
    /// Whether it is new; otherwise it replaced an older definition.
    pub created: bool,
    /// What is kept and not acted on.
    pub warnings: Vec<Warning>,
}

/// What the server of addresses of a network has lent.
#[derive(Clone, Debug, Serialize)]
pub struct NetworkLeases {
    /// The network.
    pub network: String,
    /// The addresses.
    pub leases: Vec<Lease>,
}
