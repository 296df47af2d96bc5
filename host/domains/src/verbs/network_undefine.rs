//! `net undefine` and `net autostart`: whether a network is known, and whether it is started after a boot.

use hostler_state::unix_ms;

use crate::error::Error;
use crate::host::Host;
use crate::network_summary::NetworkSummary;
use crate::networks::{definition, opened, unreadable};
use crate::reference::NetworkRef;

impl Host {
    /// Removes the definition of a network, with what its server has lent. One whose document cannot be read can be
    /// removed too.
    ///
    /// # Errors
    /// [`crate::Kind::Conflict`] when it is started.
    pub async fn network_undefine(&self, wanted: &NetworkRef) -> Result<NetworkSummary, Error> {
        self.require_network_operator()?;
        let definition = definition(self.state(), wanted.text())?;
        let summary = match opened(self.state(), definition.clone()) {
            Ok(network) => {
                network.require_inactive("it is undefined only while it is not")?;
                network.summary()
            }
            Err(error) => unreadable(&definition, &error),
        };
        self.owner()?.remove_network(definition.uuid)?;
        Ok(summary)
    }

    /// Sets whether the first command after a boot that changes anything starts the network.
    ///
    /// # Errors
    /// [`crate::Kind::NotFound`].
    pub async fn network_autostart(&self, wanted: &NetworkRef, on: bool) -> Result<NetworkSummary, Error> {
        let mut network = self.network(wanted)?;
        if network.definition.autostart != on {
            network.definition.autostart = on;
            network.definition.generation += 1;
            network.definition.changed_unix_ms = unix_ms();
            self.owner()?.put_network(&network.definition)?;
        }
        Ok(network.summary())
    }
}
