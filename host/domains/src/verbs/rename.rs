//! `rename`: gives a domain that is off another name.

use std::sync::PoisonError;

use hostler_domain::{Document, Domain};
use hostler_state::{Definition, unix_ms};

use crate::error::{Error, Kind};
use crate::host::Host;
use crate::reference::DomainRef;
use crate::snapshots::require_no_snapshots;
use crate::summary::DomainSummary;
use crate::verbs::restore;

impl Host {
    /// Gives a domain another name, in its document too; its identifier and all that it has stay.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::Conflict`] when it runs, was saved, or has snapshots, whose records hold its name;
    /// [`Kind::Exists`] when another domain has that name; [`Kind::Invalid`] for what is no name.
    pub async fn rename(&self, wanted: &DomainRef, name: &str) -> Result<DomainSummary, Error> {
        let mut definition = self.find(wanted)?;
        self.require_off(&definition).await?;
        restore::require_no_saved_guest(self, &definition)?;
        require_no_snapshots(self, &definition)?;
        let mut document = Document::parse(&definition.xml)?;
        if let Some(node) = document.child(document.root(), "name") {
            document.set_text(node, name)?;
        }
        // Read as whoever comes next will read it: it has to be a name.
        let xml = Domain::parse(&document.to_xml())?.to_xml();
        definition.xml = xml;
        name.clone_into(&mut definition.name);
        definition.generation += 1;
        definition.changed_unix_ms = unix_ms();
        self.take_name(&definition)?;
        self.tell(&definition, "renamed");
        self.summarise(&definition).await
    }

    fn take_name(&self, definition: &Definition) -> Result<(), Error> {
        let _alone = self.naming.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(named) = self.state().by_name(&definition.name)? {
            let message = format!("the name '{}' belongs to the domain {}", named.name, named.uuid);
            return Err(Error::new(Kind::Exists, "domain.exists", message).hint("choose another name"));
        }
        Ok(self.owner()?.put_definition(definition)?)
    }
}
