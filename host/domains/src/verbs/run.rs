//! `run`: starts a transient domain, which is forgotten when it ends.

use crate::error::{Error, Kind, command};
use crate::host::Host;
use crate::summary::Started;
use crate::verbs::StartOptions;

impl Host {
    /// Checks a document as `define` does and starts it without defining it: when its process ends, nothing
    /// of it is left.
    ///
    /// # Errors
    /// As `define` and `start`; [`Kind::Exists`] when a domain of that name or identifier exists.
    pub async fn run(&self, xml: &str, options: StartOptions) -> Result<Started, Error> {
        let prepared = self.prepare(xml, false).await?;
        let definition = &prepared.definition;
        if !prepared.created {
            let message = format!("a domain '{}' exists already", definition.name);
            return Err(Error::new(Kind::Exists, "domain.exists", message)
                .hint_command("start that one", command("start", &definition.name))
                .hint("or give the document another name and no <uuid>"));
        }
        self.require_allowed_to_start(definition).await?;
        // The record comes before the process, so that a process is never there without one.
        self.store_prepared(&prepared)?;
        self.start_definition(definition, options).await
    }
}
