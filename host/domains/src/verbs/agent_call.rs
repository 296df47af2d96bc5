//! What a client has to say to the agent in a guest, in the agent's own words.

use std::time::Duration;

use serde_json::Value;

use crate::error::Error;
use crate::host::Host;
use crate::reference::DomainRef;

impl Host {
    /// Says a command to the agent of a domain, and hears its answer: a guest's, so nothing in it is believed. Takes no lock.
    ///
    /// # Errors
    /// As for [`Host::agent_ping`]; what the agent refuses.
    pub async fn agent_call(
        &self,
        wanted: &DomainRef,
        agent_command: &str,
        arguments: Option<Value>,
        wait: Duration,
    ) -> Result<Value, Error> {
        let definition = self.find(wanted)?;
        let said = agent_command.to_owned();
        self.with_agent(&definition, wait, move |agent| agent.call(&said, arguments)).await
    }
}
