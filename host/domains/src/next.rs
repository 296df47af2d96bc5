//! The document of a running domain, and the one that it is to have.

use hostler_network::Attachments;
use hostler_runtime::{DomainContext, Next, RunDocument};
use hostler_state::{Definition, RunRecord};
use hostler_storage::Translations;

use crate::error::{Error, Kind, command};
use crate::host::Host;

impl Host {
    /// What a running domain is to be: this document. A volume that it runs with stays where it is, whatever has become of
    /// its pool (S4); the others are looked up now.
    pub(crate) fn next_of(&self, running: &DomainContext, xml: String) -> Result<Next, Error> {
        let volumes = self.translations(&xml)?.but_for(&running.volumes);
        let networks = self.attachments(&xml)?;
        Ok(Next { xml, volumes, networks })
    }

    /// What a running domain is to be: what it runs with, but for what this makes of its document.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when it does not run; what the change says.
    pub(crate) fn next_by(
        &self,
        definition: &Definition,
        change: impl FnOnce(&str) -> Result<String, Error>,
    ) -> Result<Next, Error> {
        let running =
            self.run_document(&self.state().run_dir(definition.uuid))?.ok_or_else(|| off(definition))?;
        let xml = change(&running.xml)?;
        let networks = Attachments::default();
        Ok(Next { xml, volumes: Translations::recorded(running.volumes), networks })
    }

    /// Makes this the document of what runs, at once: whoever reads sees the one before or this one.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when it does not run; what writing says: then the one before stands.
    pub(crate) fn replace_run_document(&self, definition: &Definition, next: &Next) -> Result<(), Error> {
        self.owner()?;
        let run = self.state().run_dir(definition.uuid);
        let running = self.run_document(&run)?.ok_or_else(|| off(definition))?;
        let document = RunDocument { xml: next.xml.clone(), volumes: next.volumes.known(), ..running };
        Ok(run.write(RunRecord::Document, &document)?)
    }

    /// Notes which devices a guest was asked to let go of and still has.
    pub(crate) fn note_leaving(
        &self,
        definition: &Definition,
        change: impl FnOnce(&mut Vec<String>),
    ) -> Result<(), Error> {
        let run = self.state().run_dir(definition.uuid);
        let Some(mut running) = run.read::<RunDocument>(RunRecord::Document)? else { return Ok(()) };
        let before = running.leaving.clone();
        change(&mut running.leaving);
        if running.leaving != before {
            run.write(RunRecord::Document, &running)?;
        }
        Ok(())
    }

    /// The devices that a guest was asked to let go of and still had when it was last looked at.
    pub(crate) fn leaving(&self, definition: &Definition) -> Result<Vec<String>, Error> {
        let running = self.run_document(&self.state().run_dir(definition.uuid))?;
        Ok(running.map(|running| running.leaving).unwrap_or_default())
    }
}

fn off(definition: &Definition) -> Error {
    Error::new(Kind::Conflict, "domain.off", format!("the domain '{}' does not run", definition.name))
        .about("domain", &definition.name)
        .hint_command("start it", command("start", &definition.name))
}
