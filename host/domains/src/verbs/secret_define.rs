//! `secret define` and `secret undefine`: which secrets there are.

use std::sync::PoisonError;

use hostler_domain::DomainUuid;
use hostler_domain::secret::{Secret as Document, SecretUsageType};
use hostler_state::{SecretDefinition, Uuid, unix_ms};

use crate::error::{Error, Kind};
use crate::host::Host;
use crate::reference::SecretRef;
use crate::secrets::{Held, Secret, SecretDefined, SecretSummary};

impl Host {
    /// Checks a document and stores it; durable when this returns, unless the secret is to be in memory alone. A value that it
    /// has stays.
    ///
    /// # Errors
    /// [`Kind::Invalid`] with line, column and element; [`Kind::Exists`] when the identifier belongs to a secret for something
    /// else, or what it is for has one; [`Kind::Denied`] when one whose value nobody is told would become one that tells.
    pub async fn secret_define(&self, xml: &str) -> Result<SecretDefined, Error> {
        self.owner()?;
        let mut document = Document::parse(xml)?;
        let asked = document.uuid.map(|uuid| Uuid::from_bytes(*uuid.as_bytes()));
        // Between looking for others and storing this one, nobody else stores any.
        let _turn = self.naming.lock().unwrap_or_else(PoisonError::into_inner);
        let secrets = self.secrets()?;
        let older = secrets.iter().find(|secret| Some(secret.definition.uuid) == asked);
        match older {
            Some(older) => require_same(older, &document)?,
            None => require_free(&secrets, &document)?,
        }
        let uuid = asked.unwrap_or_else(Uuid::new_v4);
        if let Some(chosen) = DomainUuid::from_bytes(uuid.into_bytes()) {
            document.set_uuid(&chosen)?;
        }
        let now = unix_ms();
        let definition = SecretDefinition {
            uuid,
            xml: document.to_xml(),
            generation: older.map_or(1, |older| older.definition.generation + 1),
            created_unix_ms: older.map_or(now, |older| older.definition.created_unix_ms),
            changed_unix_ms: now,
        };
        let has_value = older.is_some_and(|older| older.has_value);
        self.keep_secret(definition.clone(), older, document.ephemeral)?;
        let created = older.is_none();
        Ok(SecretDefined { summary: Secret { definition, document, has_value }.summary(), created })
    }

    /// Stores a definition where it belongs, with the value that the older one has, and takes it from where it was.
    fn keep_secret(
        &self,
        definition: SecretDefinition,
        older: Option<&Secret>,
        ephemeral: bool,
    ) -> Result<(), Error> {
        let (owner, uuid) = (self.owner()?, definition.uuid);
        let was_ephemeral = older.map(|older| older.document.ephemeral);
        match (was_ephemeral, ephemeral) {
            (None | Some(false), false) => owner.put_secret(&definition)?,
            (None, true) => {
                self.ephemeral.lock().insert(uuid, Held { definition, value: None });
            }
            (Some(true), true) => {
                if let Some(held) = self.ephemeral.lock().get_mut(&uuid) {
                    held.definition = definition;
                }
            }
            (Some(true), false) => {
                owner.put_secret(&definition)?;
                let held = self.ephemeral.lock().remove(&uuid);
                if let Some(value) = held.and_then(|held| held.value) {
                    owner.put_secret_value(uuid, &value)?;
                }
            }
            (Some(false), true) => {
                let value = self.state().secret_value(uuid)?;
                self.ephemeral.lock().insert(uuid, Held { definition, value });
                owner.remove_secret(uuid)?;
            }
        }
        Ok(())
    }

    /// Removes a secret with its value.
    ///
    /// # Errors
    /// [`Kind::NotFound`].
    pub async fn secret_undefine(&self, wanted: &SecretRef) -> Result<SecretSummary, Error> {
        self.owner()?;
        let secret = self.secret(wanted)?;
        let uuid = secret.definition.uuid;
        match secret.document.ephemeral {
            true => drop(self.ephemeral.lock().remove(&uuid)),
            false => self.owner()?.remove_secret(uuid)?,
        }
        Ok(secret.summary())
    }
}

/// A secret stays one for the same, and one that tells nothing does not begin to.
fn require_same(older: &Secret, document: &Document) -> Result<(), Error> {
    let (uuid, usage) = (older.definition.uuid, &older.document.usage);
    if *usage != document.usage {
        let message = format!("the secret {uuid} is already defined for use with '{}'", usage.id);
        return Err(Error::new(Kind::Exists, "secret.exists", message)
            .about("secret", uuid.to_string())
            .hint("take the <uuid> out of the document to make another secret, or keep the <usage>"));
    }
    if older.document.private && !document.private {
        let message = format!("the secret {uuid} is private, and does not become one that is told");
        return Err(Error::new(Kind::Denied, "secret.stays-private", message)
            .about("secret", uuid.to_string())
            .hint("undefine it, and set its value anew"));
    }
    Ok(())
}

fn require_free(secrets: &[Secret], document: &Document) -> Result<(), Error> {
    if document.usage.kind == SecretUsageType::None {
        return Ok(());
    }
    match secrets.iter().find(|secret| secret.document.usage == document.usage) {
        None => Ok(()),
        Some(other) => {
            let uuid = other.definition.uuid;
            let message =
                format!("a secret with UUID {uuid} is already defined for use with '{}'", document.usage.id);
            Err(Error::new(Kind::Exists, "secret.exists", message)
                .about("secret", uuid.to_string())
                .hint("give the document that identifier to change it, or undefine it first"))
        }
    }
}
