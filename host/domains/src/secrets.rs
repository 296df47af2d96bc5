//! Secrets as the verbs work with them: those of the state directory, and those that are kept in memory alone.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hostler_domain::secret::{Secret as Document, SecretUsageType};
use hostler_domain::storage_source::SecretReference;
use hostler_runtime::{SecretRefusal, SecretRefused, Secrets};
use hostler_state::{SecretDefinition, StateDir, Uuid};
use hostler_storage::Passphrase;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::error::{Error, Kind};
use crate::host::{Held as StateHeld, Host};
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
#[derive(Clone, Default)]
pub(crate) struct Ephemeral {
    held: Arc<Mutex<BTreeMap<Uuid, Held>>>,
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

/// The secrets of a state directory, and those in memory, for whoever looks one up.
#[derive(Clone)]
pub(crate) struct Keeper {
    held: StateHeld,
    ephemeral: Ephemeral,
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keeper")
    }
}

impl Host {
    /// Who keeps the secrets of this host.
    pub(crate) fn keeper(&self) -> Keeper {
        Keeper { held: self.held().clone(), ephemeral: self.ephemeral.clone() }
    }

    /// As [`Keeper::secrets`].
    pub(crate) fn secrets(&self) -> Result<Vec<Secret>, Error> {
        self.keeper().secrets()
    }

    /// As [`Keeper::secret`].
    pub(crate) fn secret(&self, wanted: &SecretRef) -> Result<Secret, Error> {
        self.keeper().secret(wanted)
    }
}

impl Keeper {
    /// Every secret whose document can be read, by identifier.
    pub(crate) fn secrets(&self) -> Result<Vec<Secret>, Error> {
        let state: &StateDir = self.held.state();
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

    /// What a secret is.
    ///
    /// # Errors
    /// [`Kind::NotFound`] where there is no value yet.
    pub(crate) fn value(&self, secret: &Secret) -> Result<SecretValue, Error> {
        let uuid = secret.definition.uuid;
        let held = self.ephemeral.lock().get(&uuid).and_then(|held| held.value.clone());
        let value = match held {
            Some(value) => Some(value),
            None => self.held.state().secret_value(uuid)?,
        };
        value.ok_or_else(|| {
            let message = format!("the secret '{}' has no value yet", secret.shown());
            Error::new(Kind::NotFound, "secret.no-value", message)
                .about("secret", secret.shown())
                .hint_command("give it one", format!("hostler secret set {uuid} FILE"))
        })
    }

    /// The passphrase of a volume that a document names so: for programs of this host, and told to nobody.
    ///
    /// # Errors
    /// [`Kind::NotFound`], also where there is no value yet; [`Kind::Invalid`] for a secret of something else, or one that is
    /// no text.
    pub(crate) fn passphrase_of(&self, wanted: &SecretReference) -> Result<Passphrase, Error> {
        let secret = self.secret_of_volume(wanted)?;
        let usage = secret.document.usage.kind;
        if usage != SecretUsageType::Volume {
            let message = format!("the secret '{}' is for '{usage}', and not for a volume", secret.shown());
            return Err(Error::new(Kind::Invalid, "secret.usage", message)
                .about("secret", secret.shown())
                .hint("a passphrase of a disk is in a secret with <usage type='volume'>"));
        }
        Passphrase::new(self.value(&secret)?).ok_or_else(|| {
            let message = format!(
                "the value of the secret '{}' is no passphrase: it is empty, or no text",
                secret.shown()
            );
            Error::new(Kind::Invalid, "secret.not-text", message)
                .about("secret", secret.shown())
                .hint("a passphrase is text in UTF-8 without NUL; a key of bytes can be written in base64")
        })
    }

    fn secret_of_volume(&self, wanted: &SecretReference) -> Result<Secret, Error> {
        let usage = match wanted {
            SecretReference::Uuid(uuid) if Uuid::parse_str(uuid).is_ok() => {
                return self.secret(&SecretRef::new(uuid.as_str()));
            }
            SecretReference::Uuid(other) => {
                let message = format!("'{other}' is no UUID of a secret");
                return Err(Error::new(Kind::Invalid, "secret.uuid", message).about("secret", other.as_str()));
            }
            SecretReference::Usage(usage) => usage,
        };
        let is_meant = |secret: &Secret| {
            secret.document.usage.kind == SecretUsageType::Volume && secret.document.usage.id == *usage
        };
        self.secrets()?.into_iter().find(is_meant).ok_or_else(|| {
            let message = format!("there is no secret for the volume '{usage}'");
            Error::new(Kind::NotFound, "secret.not-found", message)
                .about("secret", usage.as_str())
                .hint_command("see which there are", "hostler secret list")
        })
    }
}

impl Secrets for Keeper {
    fn passphrase(&self, wanted: &SecretReference) -> Result<Passphrase, SecretRefused> {
        self.passphrase_of(wanted).map_err(|error| SecretRefused {
            refusal: match error.kind {
                Kind::NotFound => SecretRefusal::Missing,
                Kind::Invalid => SecretRefusal::Unfit,
                _ => SecretRefusal::Host,
            },
            code: error.code().to_owned(),
            hints: error
                .hints
                .iter()
                .map(|hint| match &hint.command {
                    Some(command) => format!("{}: {command}", hint.text),
                    None => hint.text.clone(),
                })
                .collect(),
            message: error.message,
        })
    }
}
