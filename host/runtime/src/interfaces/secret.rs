//! Passphrases of disks: `domain.disk-secret`. A driver gets a handle to place, and never what it stands for.

use std::path::PathBuf;
use std::sync::Arc;

use hostler_grant::Capability;
use hostler_launch::Role;
use wasmtime::component::Resource;

use super::domain::{Subject, Tense};
use super::endpoint::File;
use super::storage::find;
use crate::answer;
use crate::bindings::wit::types::Error;
use crate::call::CallState;
use crate::limits;
use crate::opened::Opened;
use crate::secrets::{SecretRefusal, SecretRefused};

impl CallState {
    /// The passphrase of a layer that one of the documents says is encrypted.
    pub(crate) async fn disk_passphrase(
        &mut self,
        subject: Arc<Subject>,
        tense: Tense,
        target: String,
        layer: u32,
    ) -> wasmtime::Result<Result<Resource<File>, Error>> {
        if let Err(denied) = self.require(Capability::Secret, "") {
            return Ok(Err(denied));
        }
        let opened = self
            .blocking("domain.disk-secret", limits::FILE_DEADLINE, move |_| {
                passphrase(&subject, tense, &target, layer)
            })
            .await?;
        match opened {
            Ok(opened) => Ok(Ok(self.table.push(File(Arc::new(opened)))?)),
            Err(error) => Ok(Err(error)),
        }
    }
}

fn passphrase(subject: &Subject, tense: Tense, target: &str, layer: u32) -> Result<Opened, Error> {
    let (document, _) = subject.told(tense)?;
    let disk = find(document, target)?;
    let source = usize::try_from(layer).ok().and_then(|layer| disk.source.layers().nth(layer));
    let Some(encryption) = source.and_then(|source| source.encryption.as_ref()) else {
        let message =
            format!("the document does not say that layer {layer} of disk '{}' is encrypted", disk.target);
        return Err(Error::NotFound(
            answer::problem("secret.not-encrypted", message).detail("disk", disk.target.as_str()),
        ));
    };
    let [secret] = encryption.secrets.as_slice() else {
        let message =
            format!("layer {layer} of disk '{}' has {} secrets", disk.target, encryption.secrets.len());
        return Err(Error::Unsupported(
            answer::problem("secret.number", message)
                .detail("disk", disk.target.as_str())
                .hint("name exactly one <secret> in its <encryption>"),
        ));
    };
    // For people only: there is no such file.
    let path = PathBuf::from(format!("secret-of-{}-{layer}", disk.target));
    let fd = match subject.describes() {
        true => None,
        false => {
            let found = subject.context.secrets.passphrase(&secret.secret);
            let passphrase = found.map_err(|error| refused(error, disk.target.as_str()))?;
            let sealed = passphrase.sealed().map_err(|error| {
                Error::Host(answer::problem("secret.io", format!("cannot hand a secret on: {error}")))
            })?;
            Some(sealed)
        }
    };
    Ok(Opened { fd, writable: false, role: Role::Secret, format: "raw", data_apart: false, path })
}

/// What the driver is told when there is no passphrase.
fn refused(error: SecretRefused, target: &str) -> Error {
    let message = format!("disk '{target}' is encrypted, and {}", error.message);
    let mut problem = answer::problem(&error.code, message).detail("disk", target);
    problem.hints = error.hints;
    match error.refusal {
        SecretRefusal::Missing => Error::NotFound(problem),
        SecretRefusal::Unfit => Error::Invalid(problem),
        SecretRefusal::Host => Error::Host(problem),
    }
}
