//! `net start` and `net stop`: whether guests can be connected to a network.

use hostler_network::{find, rejoin};
use hostler_state::{NetworkDefinition, NetworkPhase};

use super::network_define::require_free_addresses;
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::network_summary::NetworkSummary;
use crate::networks::{Network, network_command, opened};
use crate::process;
use crate::reference::NetworkRef;

impl Host {
    /// Makes a network: its bridge with its addresses, its rules, its server. All of it is there when this returns, or
    /// nothing.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when it is started already, or the host has its bridge or its addresses; [`Kind::Denied`] for a
    /// user who may not; what is missing, with the remedy.
    pub async fn network_start(&self, wanted: &NetworkRef) -> Result<NetworkSummary, Error> {
        let network = self.network(wanted)?;
        self.owner()?;
        let name = &network.definition.name;
        if network.is_active() {
            let message = format!("the network '{name}' is started already");
            return Err(Error::new(Kind::Conflict, "network.active", message).about("network", name));
        }
        require_free_addresses(&network.document).await?;
        self.make_network(network.definition.uuid, &network.document).await?;
        self.rejoin(&network).await;
        Ok(opened(self.state(), network.definition)?.summary())
    }

    /// Takes a network away; one that was only created is forgotten. With `force` although guests are connected: they go on,
    /// and reach nobody until it is started again.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when it is not started, or guests are connected to it.
    pub async fn network_stop(&self, wanted: &NetworkRef, force: bool) -> Result<NetworkSummary, Error> {
        let network = self.network(wanted)?;
        self.owner()?;
        let name = network.definition.name.clone();
        let Some(running) = &network.running else {
            let message = format!("the network '{name}' is not started");
            return Err(Error::new(Kind::Conflict, "network.inactive", message)
                .about("network", &name)
                .hint_command("start it", network_command("start", &name)));
        };
        self.require_here(&network)?;
        if !running.makes_bridge() {
            self.note_phase(network.definition.uuid, NetworkPhase::Stopped, running.to_xml())?;
            return self.stopped_network(network.definition);
        }
        let plan = network.plan(self.state())?;
        let ports = process::blocking(move || find(&plan)).await??.ports;
        if !force && !ports.is_empty() {
            let message = format!("the network '{name}' has {} connected: {}", ports.len(), ports.join(", "));
            return Err(Error::new(Kind::Conflict, "network.in-use", message)
                .about("network", &name)
                .hint("end the domains that use it first")
                .hint_command(
                    "or stop it all the same; guests go on, and reach nobody until it is started again",
                    format!("{} --force", network_command("stop", &name)),
                ));
        }
        self.unmake_network(network.definition.uuid, running).await?;
        self.stopped_network(network.definition)
    }

    fn stopped_network(&self, definition: NetworkDefinition) -> Result<NetworkSummary, Error> {
        let summary = opened(self.state(), definition.clone())?.summary();
        self.forget_transient(&definition)?;
        Ok(summary)
    }

    /// Connects guests again that were in a network when it was stopped. Who cannot be is told of, and the network is there.
    pub(crate) async fn rejoin(&self, network: &Network) {
        let made = network.running.as_ref().unwrap_or(&network.document);
        if !made.makes_bridge() {
            return;
        }
        let (name, bridge) = (&network.definition.name, made.bridge.name.clone());
        let macs = match self.connected(name) {
            Ok(connected) => connected.into_iter().filter_map(|one| one.mac).collect::<Vec<_>>(),
            Err(error) => {
                return tracing::warn!(network = name, %error, "whose guests are to be connected again is not known");
            }
        };
        let Some(bridge) = bridge.filter(|_| !macs.is_empty()) else { return };
        match process::blocking(move || rejoin(&bridge, &macs)).await {
            Ok(Ok(joined)) => tracing::info!(network = name, ?joined, "guests are connected again"),
            Ok(Err(error)) => tracing::warn!(network = name, %error, "not all guests are connected again"),
            Err(error) => tracing::warn!(network = name, %error, "no guest is connected again"),
        }
    }
}
