//! Making a network, finding what there is of it, and taking it away.

use crate::error::NetworkError;
use crate::plan::NetworkPlan;
use crate::{bandwidth, firewall, links, server, sysctl};

/// What there is of a network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Its bridge is there and up.
    pub bridge: bool,
    /// Its dnsmasq runs as it is to be, or it needs none.
    pub server: bool,
    /// The devices on its bridge: those of guests, and what others have put there.
    pub ports: Vec<String>,
}

impl Found {
    /// Whether nothing is missing.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.bridge && self.server
    }
}

/// Makes what is not there yet of a network, and its dnsmasq anew where that has other settings.
///
/// # Errors
/// What the kernel or a program refuses; what has been made stays, for [`stop`] to take away.
pub fn start(plan: &NetworkPlan) -> Result<(), NetworkError> {
    let about = |error: NetworkError| error.about("network", &plan.name);
    links::make_bridge(&plan.bridge, &plan.mark).map_err(about)?;
    let has_v6 = plan.bridge.addresses.iter().any(|(address, _)| address.is_ipv6());
    sysctl::take_ipv6(&plan.bridge.name, has_v6).map_err(about)?;
    // The rules before the first packet.
    if let Some(rules) = &plan.rules {
        firewall::apply(rules).map_err(about)?;
    }
    sysctl::forward(plan.forward_v4, plan.forward_v6).map_err(about)?;
    links::bring_up(&plan.bridge.name).map_err(about)?;
    if !plan.bandwidth.is_unlimited() {
        bandwidth::limit(&plan.bridge.name, &plan.bandwidth).map_err(about)?;
    }
    match &plan.settings {
        Some(settings) if server::runs_with(settings, &plan.places)? => Ok(()),
        Some(settings) => {
            server::stop(&plan.places).map_err(about)?;
            server::start(settings, &plan.places).map_err(about)
        }
        None => server::stop(&plan.places).map_err(about),
    }
}

/// What there is of a network.
///
/// # Errors
/// The kernel does not answer.
pub fn find(plan: &NetworkPlan) -> Result<Found, NetworkError> {
    let device = links::find(&plan.bridge.name)?.filter(|device| device.is_of(&plan.mark, plan.bridge.mac));
    Ok(Found {
        bridge: device.as_ref().is_some_and(|device| device.is_up),
        server: match &plan.settings {
            Some(settings) => server::runs_with(settings, &plan.places)?,
            None => true,
        },
        ports: device.map_or_else(|| Ok(Vec::new()), |device| links::ports(device.index))?,
    })
}

/// Takes away what there is of a network, and goes on where something of it cannot be taken away.
///
/// # Errors
/// The first thing that could not be taken away.
pub fn stop(plan: &NetworkPlan) -> Result<(), NetworkError> {
    let ended = server::stop(&plan.places);
    let rules = match plan.rules.is_some() {
        true => firewall::remove(&plan.table),
        false => Ok(()),
    };
    let bridge = links::remove_bridge(&plan.bridge, &plan.mark);
    ended.and(rules).and(bridge).map_err(|error| error.about("network", &plan.name))
}
