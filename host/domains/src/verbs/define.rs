//! `define`: stores a checked and completed definition, new or in place of an older one.

use hostler_domain::{Domain, DomainUuid};
use hostler_state::{Definition, Uuid, unix_ms};

use crate::context::{Purpose, Subject};
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::summary::{Defined, Warning};

impl Host {
    /// Checks a document, lets its driver complete it, and stores it; durable when this returns.
    ///
    /// A domain that is defined already, by its identifier, gets the new definition; if it runs, that takes
    /// effect at its next start.
    ///
    /// # Errors
    /// [`Kind::Invalid`] with line, column and element; [`Kind::Exists`] when the name or the identifier
    /// belongs to another domain; whatever the driver refuses. Nothing is stored then.
    pub async fn define(&self, xml: &str) -> Result<Defined, Error> {
        let prepared = self.prepare(xml, true).await?;
        self.owner()?.put_definition(&prepared.definition)?;
        let kind = if prepared.created { "defined" } else { "redefined" };
        self.tell(&prepared.definition, kind);
        let summary = self.summarise(&prepared.definition).await?;
        Ok(Defined { summary, created: prepared.created, warnings: prepared.warnings })
    }

    /// Everything `define` does before it stores.
    pub(crate) async fn prepare(&self, xml: &str, persistent: bool) -> Result<Prepared, Error> {
        let mut domain = Domain::parse(xml)?;
        let older = self.older(&domain)?;
        let uuid = match (&domain.uuid, &older) {
            (Some(uuid), _) => Uuid::from_bytes(*uuid.as_bytes()),
            (None, Some(older)) => older.uuid,
            (None, None) => Uuid::new_v4(),
        };
        if domain.uuid.is_none()
            && let Some(chosen) = DomainUuid::from_bytes(uuid.into_bytes())
        {
            domain.set_uuid(&chosen)?;
        }
        let driver = self.drivers.for_type(domain.kind.as_str())?;
        let name = domain.name.as_str().to_owned();
        let subject = Subject { uuid, name: name.clone(), xml: domain.to_xml() };
        let completed = driver.check(&self.context_for(&subject, Purpose::Describe)?).await?;
        let checked =
            Domain::parse(&completed).map_err(|error| damaged(&driver.manifest().name, error.into()))?;
        let now = unix_ms();
        Ok(Prepared {
            created: older.is_none(),
            warnings: warnings(&checked),
            definition: Definition {
                uuid,
                name,
                xml: completed,
                driver: driver.manifest().name.clone(),
                persistent: persistent || older.as_ref().is_some_and(|older| older.persistent),
                generation: older.as_ref().map_or(1, |older| older.generation + 1),
                created_unix_ms: older.as_ref().map_or(now, |older| older.created_unix_ms),
                changed_unix_ms: now,
            },
        })
    }

    /// The definition that this document replaces.
    fn older(&self, domain: &Domain) -> Result<Option<Definition>, Error> {
        let by_name = self.state().by_name(domain.name.as_str())?;
        let Some(uuid) = domain.uuid.as_ref().map(|uuid| Uuid::from_bytes(*uuid.as_bytes())) else {
            return Ok(by_name);
        };
        let by_uuid = self.state().definition_by_uuid(uuid)?;
        match (&by_name, &by_uuid) {
            (Some(named), _) if named.uuid != uuid => Err(exists(
                format!("the name '{}' belongs to the domain {}", named.name, named.uuid),
                "give the document another name, or that identifier",
            )),
            (_, Some(identified)) if identified.name != domain.name.as_str() => Err(exists(
                format!("the identifier {uuid} belongs to the domain '{}'", identified.name),
                "take the <uuid> out of the document to get a new one, or keep the name",
            )),
            _ => Ok(by_uuid),
        }
    }
}

/// A definition that is ready to be stored.
pub(crate) struct Prepared {
    pub(crate) definition: Definition,
    pub(crate) created: bool,
    pub(crate) warnings: Vec<Warning>,
}

fn exists(message: String, hint: &str) -> Error {
    Error::new(Kind::Exists, "domain.exists", message).hint(hint)
}

/// The driver's completed document goes through the same parser as the user's: a driver is not trusted.
fn damaged(driver: &str, source: Error) -> Error {
    let message = format!("the driver '{driver}' answered with a document that cannot be read");
    Error::new(Kind::Driver, "driver.document", message).caused_by(source)
}

fn warnings(domain: &Domain) -> Vec<Warning> {
    domain
        .unmodelled()
        .iter()
        .map(|item| Warning { message: format!("{item} is kept and not acted on by this version") })
        .collect()
}
