//! Changes of a part of a network, in what runs and in its definition.

use hostler_domain::network::{Network as Document, NetworkCommand, NetworkSection, NetworkUpdateError};
use hostler_network::start;
use hostler_state::{NetworkPhase, unix_ms};

use super::network_undefine::transient;
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::network_summary::NetworkSummary;
use crate::networks::{Network, network_command, opened, plan};
use crate::process;
use crate::reference::NetworkRef;
use crate::verbs::Scope;

/// A change of a part of a network.
#[derive(Clone, Debug)]
pub struct NetworkChange {
    /// What is done.
    pub command: NetworkCommand,
    /// To which kind of part.
    pub section: NetworkSection,
    /// Of which `<ip>`, where that has to be said.
    pub parent: Option<usize>,
    /// The part as XML.
    pub xml: String,
}

impl Host {
    /// Changes a part of a network: of what it was made from, so that its server of addresses and names goes on with that, or
    /// of its definition, or of both. Guests stay connected.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when what is meant is not there, or the part is there already, or is not; [`Kind::Invalid`] for a part
    /// that cannot be; [`Kind::Unsupported`] for what is not done to such a part. Nothing is changed then.
    pub async fn network_update(
        &self,
        wanted: &NetworkRef,
        change: &NetworkChange,
        scope: Scope,
    ) -> Result<NetworkSummary, Error> {
        let NetworkChange { command, section, parent, xml } = change;
        self.change_network(wanted, scope, |document| {
            document.updated(*command, *section, *parent, xml).map_err(|error| refused(error, document))
        })
        .await
    }

    /// Changes the documents of a network that are meant, all of them or none.
    pub(super) async fn change_network(
        &self,
        wanted: &NetworkRef,
        scope: Scope,
        change: impl Fn(&Document) -> Result<Document, Error>,
    ) -> Result<NetworkSummary, Error> {
        let mut network = self.network(wanted)?;
        self.owner()?;
        let name = network.definition.name.clone();
        let live = match (&network.running, scope.live) {
            (Some(running), true) => Some(change(running)?),
            (None, true) => return Err(inactive(&name)),
            (_, false) => None,
        };
        let stored = match (scope.config, network.definition.persistent) {
            (true, false) => return Err(transient(&name, "it has no definition that could be changed")),
            (true, true) => Some(change(&network.document)?),
            (false, _) => None,
        };
        if let Some(live) = live {
            self.require_here(&network)?;
            self.remake(&network, &live).await?;
        }
        if let Some(stored) = stored {
            network.definition.xml = stored.to_xml();
            network.definition.generation += 1;
            network.definition.changed_unix_ms = unix_ms();
            self.owner()?.put_network(&network.definition)?;
        }
        Ok(opened(self.state(), network.definition)?.summary())
    }

    /// Goes on with another document. What is noted comes first: whoever finds a server with other settings makes it anew.
    async fn remake(&self, network: &Network, document: &Document) -> Result<(), Error> {
        let uuid = network.definition.uuid;
        if !document.makes_bridge() {
            return self.note_phase(uuid, NetworkPhase::Active, document.to_xml());
        }
        let (before, next) = (network.plan(self.state())?, plan(document, uuid, self.state())?);
        self.note_phase(uuid, NetworkPhase::Active, document.to_xml())?;
        let Err(error) = process::blocking(move || start(&next)).await? else { return Ok(()) };
        let old = network.running.as_ref().map(Document::to_xml).unwrap_or_default();
        self.note_phase(uuid, NetworkPhase::Active, old)?;
        let error = Error::from(error);
        Err(match process::blocking(move || start(&before)).await? {
            Ok(()) => error.hint("the network is as it was"),
            Err(left) => error.hint(format!("the network could not be made what it was: {left}")),
        })
    }
}

fn inactive(name: &str) -> Error {
    let message = format!("network '{name}' is not running");
    Error::new(Kind::Conflict, "network.inactive", message)
        .about("network", name)
        .hint_command("start it", network_command("start", name))
}

fn refused(error: NetworkUpdateError, document: &Document) -> Error {
    let about =
        |kind, code: &str, message| Error::new(kind, code, message).about("network", document.name.as_str());
    match error {
        NetworkUpdateError::Wrong(error) => error.into(),
        NetworkUpdateError::Conflict(message) => about(Kind::Conflict, "network.part", message),
        NetworkUpdateError::Unsupported(message) => {
            about(Kind::Unsupported, "network.part-unsupported", message)
        }
    }
}
