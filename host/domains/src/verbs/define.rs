//! `define`: stores a checked and completed definition, new or in place of an older one.

use std::path::Path;
use std::sync::PoisonError;

use hostler_domain::interface::InterfaceSource;
use hostler_domain::{Domain, DomainUuid};
use hostler_state::{Definition, Uuid, unix_ms};

use crate::context::{Purpose, Subject};
use crate::error::{Error, Kind};
use crate::firmware_summary::FirmwareChoice;
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
        self.store_prepared(&prepared)?;
        let kind = if prepared.created { "defined" } else { "redefined" };
        self.tell(&prepared.definition, kind);
        let summary = self.summarise(&prepared.definition).await?;
        let Prepared { created, warnings, firmware, .. } = prepared;
        Ok(Defined { summary, created, firmware, warnings })
    }

    /// Stores what was prepared, unless somebody took its name or changed it meanwhile.
    pub(crate) fn store_prepared(&self, prepared: &Prepared) -> Result<(), Error> {
        let definition = &prepared.definition;
        let _alone = self.naming.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(named) = self.state().by_name(&definition.name)?
            && named.uuid != definition.uuid
        {
            return Err(taken(&named));
        }
        let there = self.state().definition_by_uuid(definition.uuid)?;
        if there.map_or(0, |there| there.generation) + 1 != definition.generation {
            let message = format!("the domain '{}' was changed by somebody else meanwhile", definition.name);
            return Err(Error::new(Kind::Busy, "domain.changed", message)
                .about("domain", &definition.name)
                .hint("look at it again, and define it anew if that is still wanted"));
        }
        Ok(self.owner()?.put_definition(definition)?)
    }

    /// Everything `define` does before it stores.
    pub(crate) async fn prepare(&self, xml: &str, persistent: bool) -> Result<Prepared, Error> {
        let domain = Domain::parse(xml)?;
        let older = self.older(&domain)?;
        let uuid = match (&domain.uuid, &older) {
            (Some(uuid), _) => Uuid::from_bytes(*uuid.as_bytes()),
            (None, Some(older)) => older.uuid,
            (None, None) => Uuid::new_v4(),
        };
        let driver = self.drivers.for_type(domain.kind.as_str())?;
        let name = domain.name.as_str().to_owned();
        self.require_room_to_define(&domain, older.is_none())?;
        self.require_allowed_to_tenant(&domain)?;
        // The driver sees the document as it was written, so that what it finds wrong is on the user's lines.
        let subject = Subject { uuid, name: name.clone(), xml: xml.to_owned() };
        let completed = driver.check(&self.context_for(&subject, Purpose::Describe)?).await?;
        let mut checked = accepted(&driver.manifest().name, &domain, uuid, &completed)?;
        let mut warnings = warnings(&checked);
        warnings.extend(self.other_program(&checked)?);
        let (firmware, more) = self.choose_firmware(&driver, &mut checked, uuid, older.as_ref())?;
        warnings.extend(more);
        // Once more, for a driver is not trusted either.
        self.require_room_to_define(&checked, older.is_none())?;
        self.require_allowed_to_tenant(&checked)?;
        let now = unix_ms();
        Ok(Prepared {
            created: older.is_none(),
            warnings,
            firmware,
            definition: Definition {
                uuid,
                name,
                xml: checked.document_without_run()?.to_xml(),
                driver: driver.manifest().name.clone(),
                persistent: persistent || older.as_ref().is_some_and(|older| older.persistent),
                generation: older.as_ref().map_or(1, |older| older.generation + 1),
                created_unix_ms: older.as_ref().map_or(now, |older| older.created_unix_ms),
                changed_unix_ms: now,
            },
        })
    }

    /// That a document names a program which is not the one that would run.
    fn other_program(&self, domain: &Domain) -> Result<Option<Warning>, Error> {
        let Some(named) = &domain.devices.emulator else { return Ok(None) };
        let templates = self.templates()?;
        Ok(warning_of_program(named, templates.iter().filter_map(|template| template.program().ok())))
    }

    /// The definition that this document replaces.
    fn older(&self, domain: &Domain) -> Result<Option<Definition>, Error> {
        let by_name = self.state().by_name(domain.name.as_str())?;
        let Some(uuid) = domain.uuid.as_ref().map(|uuid| Uuid::from_bytes(*uuid.as_bytes())) else {
            return Ok(by_name);
        };
        let by_uuid = self.state().definition_by_uuid(uuid)?;
        match (&by_name, &by_uuid) {
            (Some(named), _) if named.uuid != uuid => Err(taken(named)),
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
    pub(crate) firmware: Option<FirmwareChoice>,
}

fn taken(named: &Definition) -> Error {
    exists(
        format!("the name '{}' belongs to the domain {}", named.name, named.uuid),
        "give the document another name, or that identifier",
    )
}

fn exists(message: String, hint: &str) -> Error {
    Error::new(Kind::Exists, "domain.exists", message).hint(hint)
}

/// The driver's completed document goes through the same parser as the user's, and must still be about the same
/// domain: a driver is not trusted. The identifier is the host's to write.
pub(crate) fn accepted(driver: &str, given: &Domain, uuid: Uuid, completed: &str) -> Result<Domain, Error> {
    let wrong = |what: &str| {
        let message = format!("the driver '{driver}' answered with a document that {what}");
        Error::new(Kind::Driver, "driver.document", message)
    };
    let mut domain = Domain::parse(completed).map_err(|error| wrong("cannot be read").caused_by(error))?;
    if (&domain.name, &domain.kind) != (&given.name, &given.kind)
        || (given.uuid.is_some() && domain.uuid != given.uuid)
    {
        return Err(wrong("is about another domain"));
    }
    if let Some(chosen) = DomainUuid::from_bytes(uuid.into_bytes()).filter(|_| given.uuid.is_none()) {
        domain.set_uuid(&chosen)?;
        domain.refresh()?;
    }
    Ok(domain)
}

fn warnings(domain: &Domain) -> Vec<Warning> {
    let kept = domain.unmodelled().iter().map(ToString::to_string);
    let all = kept.chain(unlimited_interfaces(domain));
    all.map(|item| Warning { message: format!("{item} is kept and not acted on by this version") }).collect()
}

/// What goes through an interface can be limited where a device of this host connects it.
fn unlimited_interfaces(domain: &Domain) -> impl Iterator<Item = String> {
    let connected = |source: &InterfaceSource| {
        use InterfaceSource::{Bridge, Ethernet, Network};
        matches!(source, Bridge { .. } | Network { .. } | Ethernet)
    };
    let interfaces = domain.devices.interfaces.iter();
    let unlimited = interfaces.filter(move |one| !one.bandwidth.is_unlimited() && !connected(&one.source));
    unlimited.filter_map(|one| {
        let document = domain.document();
        let node = document.child(one.node, "bandwidth")?;
        let position = document.position(node);
        Some(format!(
            "{position}: {}, of an interface that no device of this host connects,",
            document.path(node)
        ))
    })
}

/// Documents of other hosts name other programs: that keeps nobody from starting them here.
fn warning_of_program<'a>(named: &str, known: impl Iterator<Item = &'a Path>) -> Option<Warning> {
    let known: Vec<_> = known.collect();
    let is_run = known.contains(&Path::new(named))
        || std::fs::canonicalize(named).is_ok_and(|program| known.contains(&program.as_path()));
    (!is_run).then(|| {
        let named = named.escape_debug();
        let message = format!(
            "<emulator>{named}</emulator> is kept and not run: programs are those that the host's launch templates name \
             (HOSTLER_TEMPLATE_DIR)"
        );
        Warning { message }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn program_that_is_not_run_is_warned_of_and_one_that_is_by_any_name_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let (program, link) = (directory.path().join("qemu"), directory.path().join("kvm"));
        std::fs::write(&program, b"").unwrap();
        std::os::unix::fs::symlink(&program, &link).unwrap();
        let warned = |named: &Path| {
            let known = [Path::new("/other"), &program];
            warning_of_program(named.to_str().unwrap(), known.into_iter()).map(|warning| warning.message)
        };
        assert_eq!((warned(&program), warned(&link)), (None, None));
        assert!(warned(Path::new("/no/qemu")).unwrap().contains("/no/qemu</emulator> is kept and not run"));
    }

    const GIVEN: &str = "<domain type='test'>\n  <name>a</name>\n  <memory>1024</memory>\n  \
                         <os><type>hvm</type></os>\n</domain>";

    fn answer(completed: &str) -> Result<Domain, Error> {
        accepted("test", &Domain::parse(GIVEN).unwrap(), Uuid::from_u128(7), completed)
    }

    #[test]
    fn completed_document_gets_the_identifier() {
        let domain = answer(GIVEN).unwrap();
        assert!(
            domain.to_xml().contains("<uuid>00000000-0000-0000-0000-000000000007</uuid>"),
            "{}",
            domain.to_xml()
        );
    }

    #[test]
    fn driver_that_answers_about_another_domain_is_at_fault() {
        for other in [GIVEN.replace(">a<", ">b<"), GIVEN.replace("'test'", "'kvm'"), "no document".to_owned()]
        {
            let error = answer(&other).unwrap_err();
            assert_eq!((error.kind, error.code()), (Kind::Driver, "driver.document"), "{other}");
        }
    }
}
