//! `net undefine` and `net autostart`: whether a network is known, and whether it is started after a boot.

use hostler_state::unix_ms;

use crate::error::{Error, Kind};
use crate::host::Host;
use crate::network_summary::NetworkSummary;
use crate::networks::{Network, definition, opened, unreadable};
use crate::reference::NetworkRef;

/// What becomes of a network that is started when it is undefined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfStarted {
    /// It is not undefined.
    Refused,
    /// It stays until it is stopped, and is forgotten then.
    StaysUntilStopped,
}

impl Host {
    /// Removes the definition of a network, with what its server has lent. One whose document cannot be read can be
    /// removed too. One that is started stays until it is stopped, where that is wanted.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when it is started and is not to stay, or has no definition.
    pub async fn network_undefine(
        &self,
        wanted: &NetworkRef,
        started: IfStarted,
    ) -> Result<NetworkSummary, Error> {
        self.require_network_operator()?;
        let definition = definition(self.state(), wanted.text())?;
        let summary = match opened(self.state(), definition.clone()) {
            Ok(network) => {
                match (&network.running, started) {
                    (Some(running), IfStarted::StaysUntilStopped) => {
                        let xml = running.to_xml();
                        return self.make_transient(network, xml);
                    }
                    _ => network.require_inactive("it is undefined only while it is not")?,
                }
                network.summary()
            }
            Err(error) => unreadable(&definition, &error),
        };
        self.owner()?.remove_network(definition.uuid)?;
        Ok(summary)
    }

    /// A network that is started goes on from what it was made from, and is forgotten when it is stopped.
    fn make_transient(&self, mut network: Network, xml: String) -> Result<NetworkSummary, Error> {
        if !network.definition.persistent {
            return Err(transient(&network.definition.name, "it is undefined by stopping it"));
        }
        network.definition.persistent = false;
        network.definition.autostart = false;
        network.definition.xml = xml;
        network.definition.generation += 1;
        network.definition.changed_unix_ms = unix_ms();
        self.owner()?.put_network(&network.definition)?;
        Ok(network.summary())
    }

    /// Sets whether the first command after a boot that changes anything starts the network.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::Conflict`] for one that is there only while it is started.
    pub async fn network_autostart(&self, wanted: &NetworkRef, on: bool) -> Result<NetworkSummary, Error> {
        let mut network = self.network(wanted)?;
        if !network.definition.persistent {
            return Err(transient(&network.definition.name, "it is not there after a boot"));
        }
        if network.definition.autostart != on {
            network.definition.autostart = on;
            network.definition.generation += 1;
            network.definition.changed_unix_ms = unix_ms();
            self.owner()?.put_network(&network.definition)?;
        }
        Ok(network.summary())
    }
}

pub(super) fn transient(name: &str, why: &str) -> Error {
    let message = format!("the network '{name}' was created and not defined; {why}");
    Error::new(Kind::Conflict, "network.transient", message).about("network", name).hint_command(
        "define it from its own document",
        format!(
            "hostler net xml {0} > net.xml && hostler net define net.xml",
            hostler_image::shell_quote(name)
        ),
    )
}
