//! `net start` and `net stop`: whether guests can be connected to a network.

use hostler_network::find;
use hostler_state::NetworkPhase;

use super::network_define::require_free_addresses;
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::network_summary::NetworkSummary;
use crate::networks::{network_command, opened};
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
        self.make_network(&network).await?;
        Ok(opened(self.state(), network.definition)?.summary())
    }

    /// Takes a network away. With `force` although guests are connected: they go on, and reach nobody any more.
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
            return Ok(opened(self.state(), network.definition)?.summary());
        }
        let plan = network.plan(self.state())?;
        let ports = process::blocking(move || find(&plan)).await??.ports;
        if !force && !ports.is_empty() {
            let message = format!("the network '{name}' has {} connected: {}", ports.len(), ports.join(", "));
            return Err(Error::new(Kind::Conflict, "network.in-use", message)
                .about("network", &name)
                .hint("end the domains that use it first")
                .hint_command(
                    "or stop it all the same; guests go on, and reach nobody until they are started again",
                    format!("{} --force", network_command("stop", &name)),
                ));
        }
        self.unmake_network(network.definition.uuid, running).await?;
        Ok(opened(self.state(), network.definition)?.summary())
    }
}
