//! What people and programs note down about a network, in its document.

use hostler_domain::network::Network as Document;

use super::annotate::{Note, written_down};
use crate::error::Error;
use crate::host::Host;
use crate::network_summary::NetworkSummary;
use crate::reference::NetworkRef;
use crate::verbs::Scope;

impl Host {
    /// Notes something down about a network, or forgets it, as [`Host::annotate`] does about a domain.
    ///
    /// # Errors
    /// As [`Host::annotate`].
    pub async fn network_annotate(
        &self,
        wanted: &NetworkRef,
        note: &Note,
        (content, prefix): (Option<&str>, Option<&str>),
        scope: Scope,
    ) -> Result<NetworkSummary, Error> {
        self.change_network(wanted, scope, |document| {
            Ok(Document::parse(&written_down(&document.to_xml(), note, content, prefix)?)?)
        })
        .await
    }
}
