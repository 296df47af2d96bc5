//! `secret list`, `secret xml`, `secret set` and `secret get`: what is known of secrets, and what they are.

use hostler_state::SECRET_MAX_BYTES;

use crate::error::{Error, Kind};
use crate::host::Host;
use crate::reference::SecretRef;
use crate::secrets::{SecretSummary, SecretValue};

impl Host {
    /// Every secret, by identifier.
    ///
    /// # Errors
    /// [`Kind::Host`] when the state directory cannot be read.
    pub async fn secret_list(&self) -> Result<Vec<SecretSummary>, Error> {
        Ok(self.secrets()?.iter().map(crate::secrets::Secret::summary).collect())
    }

    /// One secret.
    ///
    /// # Errors
    /// [`Kind::NotFound`].
    pub async fn secret_show(&self, wanted: &SecretRef) -> Result<SecretSummary, Error> {
        Ok(self.secret(wanted)?.summary())
    }

    /// The document of a secret, which never has its value.
    ///
    /// # Errors
    /// [`Kind::NotFound`].
    pub async fn secret_xml(&self, wanted: &SecretRef) -> Result<String, Error> {
        Ok(self.secret(wanted)?.definition.xml)
    }

    /// Gives a secret its value; durable when this returns, unless it is in memory alone.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::Invalid`] for one that is too long.
    pub async fn secret_set(&self, wanted: &SecretRef, value: SecretValue) -> Result<SecretSummary, Error> {
        self.owner()?;
        let mut secret = self.secret(wanted)?;
        if value.len() > SECRET_MAX_BYTES {
            let message =
                format!("the value has {} bytes, and one has {SECRET_MAX_BYTES} at most", value.len());
            return Err(Error::new(Kind::Invalid, "secret.too-long", message).about("secret", secret.shown()));
        }
        let uuid = secret.definition.uuid;
        if secret.document.ephemeral {
            if let Some(held) = self.ephemeral.lock().get_mut(&uuid) {
                held.value = Some(value);
            }
        } else {
            self.owner()?.put_secret_value(uuid, &value)?;
        }
        secret.has_value = true;
        Ok(secret.summary())
    }

    /// What a secret is, for whoever may know: of a private one nobody is told.
    ///
    /// # Errors
    /// [`Kind::NotFound`], also where there is no value yet; [`Kind::Denied`] for a private one.
    pub async fn secret_get(&self, wanted: &SecretRef) -> Result<SecretValue, Error> {
        let secret = self.secret(wanted)?;
        if secret.document.private {
            let message =
                format!("the secret '{}' is private: its value is used, and told to nobody", secret.shown());
            return Err(Error::new(Kind::Denied, "secret.private", message).about("secret", secret.shown()));
        }
        self.keeper().value(&secret)
    }
}
