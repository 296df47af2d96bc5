//! A network that is there for as long as it is started.

use hostler_domain::network::Network as Document;
use hostler_state::{NetworkDefinition, Uuid, unix_ms};

use super::network_define::{require_apart, require_free_addresses};
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::network_summary::NetworkSummary;
use crate::networks::opened;

impl Host {
    /// Makes a network from a document. It is forgotten when it is stopped; one that is defined already is what it was
    /// defined to be from its next start on.
    ///
    /// # Errors
    /// As [`Host::network_define`] and [`Host::network_start`]. Nothing of it is left then.
    pub async fn network_create(&self, xml: &str) -> Result<NetworkSummary, Error> {
        self.require_network_operator()?;
        self.owner()?;
        let mut document = Document::parse(xml)?;
        let older = self.older_network(&document)?;
        if older.as_ref().is_some_and(crate::networks::Network::is_active) {
            let message = format!("network is already active as '{}'", document.name);
            return Err(Error::new(Kind::Conflict, "network.active", message)
                .about("network", document.name.as_str()));
        }
        let asked = document.uuid.map(|uuid| Uuid::from_bytes(*uuid.as_bytes()));
        let known = older.as_ref().map(|older| older.definition.uuid);
        let uuid = known.or(asked).unwrap_or_else(Uuid::new_v4);
        let others: Vec<_> =
            self.networks()?.into_iter().filter(|other| other.definition.uuid != uuid).collect();
        self.complete_network(&mut document, uuid, older.as_ref(), &others).await?;
        require_apart(&document, &others)?;
        require_free_addresses(&document).await?;
        let definition = match older {
            Some(older) => older.definition,
            None => {
                let definition = created(uuid, &document);
                self.owner()?.put_network(&definition)?;
                definition
            }
        };
        if let Err(error) = self.make_network(uuid, &document).await {
            self.forget_transient(&definition)?;
            return Err(error);
        }
        let network = opened(self.state(), definition)?;
        self.rejoin(&network).await;
        Ok(network.summary())
    }
}

fn created(uuid: Uuid, document: &Document) -> NetworkDefinition {
    let now = unix_ms();
    NetworkDefinition {
        uuid,
        name: document.name.as_str().to_owned(),
        xml: document.to_xml(),
        persistent: false,
        autostart: false,
        generation: 1,
        created_unix_ms: now,
        changed_unix_ms: now,
    }
}
