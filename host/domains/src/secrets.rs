//! Secrets as the verbs work with them: those of the state directory, and those that are kept in memory alone.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hostler_domain::secret::Secret as Document;
use hostler_state::{SecretDefinition, StateDir, Uuid};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::error::{Error, Kind};
use crate::host::Host;
use crate::reference::SecretRef;

/// What a secret is. It is overwritten in memory when nobody needs it any more.
pub type SecretValue = Zeroizing<Vec<u8>>;

/// One line about a secret.
#[derive(Clone, Debug, Serialize)]
pub struct SecretSummary {
    /// Its identifier.
    pub uuid: Uuid,
    /// The kind of use that it has: `none`, `volume`, `ceph`, `iscsi`, `tls` or `vtpm`.
    pub usage: String,
    /// What uses it.
    pub usage_id: String,
    /// What people say of it.
    pub description: Option<String>,
    /// Whether it is kept in memory alone.
    pub ephemeral: bool,
    /// Whether its value is told to nobody.
    pub private: bool,
    /// Whether it has a value.
    pub has_value: bool,
}

/// A secret that was stored.
#[derive(Clone, Debug, Serialize)]
pub struct SecretDefined {
    /// The secret.
    pub summary: SecretSummary,
    /// Whether it is new; otherwise it replaced an older definition.
    pub created: bool,
}

/// The secrets that are in memory alone: they go with this process.
#[derive(Default)]
pub(crate) struct Ephemeral {
    held: Mutex<BTreeMap<Uuid, Held>>,
}

/// One of them.
pub(crate) struct Held {
    pub(crate) definition: SecretDefinition,
    pub(crate) value: Option<SecretValue>,
}

impl Ephemeral {
    pub(crate) fn lock(&self) -> MutexGuard<'_, BTreeMap<Uuid, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A secret that was found.
pub(crate) struct Secret {
    pub(crate) definition: SecretDefinition,
    pub(crate) document: Document,
    pub(crate) has_value: bool,
}

impl Secret {
    pub(crate) fn summary(&self) -> SecretSummary {
        SecretSummary {
            uuid: self.definition.uuid,
            usage: self.document.usage.kind.as_str().to_owned(),
            usage_id: self.document.usage.id.clone(),
            description: self.document.description.clone(),
            ephemeral: self.document.ephemeral,
            private: self.document.private,
            has_value: self.has_value,
        }
    }

    /// How people know it: by what it is for, or else by its identifier.
    pub(crate) fn shown(&self) -> String {
        match self.document.usage.id.as_str() {
            "" => self.definition.uuid.to_string(),
            id => id.to_owned(),
        }
    }
}

fn opened(definition: SecretDefinition, has_value: bool) -> Result<Secret, Error> {
    let document = Document::parse(&definition.xml)?;
    Ok(Secret { definition, document, has_value })
}

impl Host {
    /// Every secret whose document can be read, by identifier.
    pub(crate) fn secrets(&self) -> Result<Vec<Secret>, Error> {
        let state: &StateDir = self.state();
        let stored = state.secrets()?.into_iter().map(|one| {
            let has_value = state.has_secret_value(one.uuid);
            (one, has_value)
        });
        let held: Vec<_> = self
            .ephemeral
            .lock()
            .values()
            .map(|held| (held.definition.clone(), held.value.is_some()))
            .collect();
        let mut secrets = Vec::new();
        for (definition, has_value) in stored.chain(held) {
            let uuid = definition.uuid;
            match opened(definition, has_value) {
                Ok(secret) => secrets.push(secret),
                Err(error) => {
                    tracing::warn!(secret = %uuid, %error, "the document of a secret cannot be read")
                }
            }
        }
        secrets.sort_by_key(|secret| secret.definition.uuid);
        Ok(secrets)
    }

    /// The secret that the user means: by its identifier, or by what it is for.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::Invalid`] where several are for the same.
    pub(crate) fn secret(&self, wanted: &SecretRef) -> Result<Secret, Error> {
        let text = wanted.text();
        let uuid = Uuid::parse_str(text).ok();
        let secrets = self.secrets()?;
        let names: Vec<String> = secrets.iter().map(Secret::shown).collect();
        let mut found: Vec<_> = secrets
            .into_iter()
            .filter(|secret| match uuid {
                Some(uuid) => secret.definition.uuid == uuid,
                None => !text.is_empty() && secret.document.usage.id == text,
            })
            .collect();
        match (found.pop(), found.is_empty()) {
            (Some(secret), true) => Ok(secret),
            (Some(_), false) => {
                let message = format!("several secrets are for '{text}'");
                Err(Error::new(Kind::Invalid, "secret.ambiguous", message)
                    .hint("name it by its identifier")
                    .hint_command("see which there are", "hostler secret list"))
            }
            (None, _) => {
                let message = format!("there is no secret '{text}'");
                let error = Error::new(Kind::NotFound, "secret.not-found", message).about("secret", text);
                Err(match hostler_domain::nearest(text, names.iter().map(String::as_str)) {
                    Some(near) => error.hint(format!("did you mean '{near}'?")),
                    None => error.hint_command("see which there are", "hostler secret list"),
                })
            }
        }
    }
}
