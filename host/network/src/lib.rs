//! Virtual networks of this host: what a network is made of, and how it is made, found again and taken away.
//!
//! What a network means is a [`NetworkPlan`], a pure function of its document: the bridge, the rules of the firewall and
//! the settings of dnsmasq. [`start`] makes that, [`stop`] takes it away again, and both can be repeated: what is there
//! already is there, and what is gone is gone. Everything here blocks, in the network namespace of the caller.

mod attachment;
mod bandwidth;
mod device;
mod dnsmasq;
mod error;
mod firewall;
mod forward;
mod leases;
mod links;
mod namespace;
mod plan;
mod rules;
mod server;
mod start;
mod sysctl;
mod tap;

pub use attachment::{Attachment, Attachments, Taps, connect, rejoin};
pub use bandwidth::limit;
pub use device::{HostDevice, Traffic};
pub use error::{ErrorKind, Hint, NetworkError};
pub use forward::{Forward, is_local};
pub use leases::{Lease, leases};
pub use namespace::namespace;
pub use plan::{BridgePlan, NetworkPlan, Places};
pub use start::{Found, find, start, stop};

/// Names of the network devices of the host, and the networks of the addresses that they have: what a new network must
/// not collide with.
pub use links::{HostAddress, devices_named, host_addresses, host_devices};
