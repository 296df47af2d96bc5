//! `run`: starts a transient domain, which is forgotten when it ends.

use hostler_domain::Domain;
use hostler_state::Definition;

use crate::error::{Error, Kind, command};
use crate::host::Host;
use crate::summary::Started;
use crate::verbs::StartOptions;
use crate::verbs::define::Prepared;
use crate::verbs::receive::saved_guest;

impl Host {
    /// Checks a document as `define` does and starts it without defining it: when its process ends, nothing
    /// of it is left.
    ///
    /// # Errors
    /// As `define` and `start`; [`Kind::Exists`] when a domain of that name or identifier exists.
    pub async fn run(&self, xml: &str, options: StartOptions) -> Result<Started, Error> {
        let prepared = self.prepare(xml, false).await?;
        if !prepared.created {
            return Err(exists(&prepared.definition));
        }
        self.run_prepared(&prepared, options).await
    }

    /// The same for a document that may be of a domain that is defined already, by its name and its identifier: if that is off,
    /// the document is what runs, and when its guest ends the definition is what is left (libvirt's `virDomainCreateXML`).
    ///
    /// # Errors
    /// As [`Host::run`]; [`Kind::Conflict`] when the domain runs, or was saved: its saved guest could never go on behind this one.
    pub async fn run_in_place(&self, xml: &str, options: StartOptions) -> Result<Started, Error> {
        let prepared = self.prepare(xml, false).await?;
        if prepared.created {
            return self.run_prepared(&prepared, options).await;
        }
        let definition = &prepared.definition;
        if Domain::parse(xml)?.uuid.is_none() {
            return Err(exists(definition));
        }
        self.require_off(definition).await?;
        if self.has_saved_guest(definition.uuid) {
            return Err(saved_guest(definition));
        }
        self.start_definition(definition, options).await
    }

    async fn run_prepared(&self, prepared: &Prepared, options: StartOptions) -> Result<Started, Error> {
        let definition = &prepared.definition;
        self.require_allowed_to_start(definition).await?;
        // The record comes before the process, so that a process is never there without one.
        self.store_prepared(prepared)?;
        self.start_definition(definition, options).await
    }
}

fn exists(definition: &Definition) -> Error {
    let message = format!("a domain '{}' exists already", definition.name);
    Error::new(Kind::Exists, "domain.exists", message)
        .hint_command("start that one", command("start", &definition.name))
        .hint("or give the document another name and no <uuid>")
}
