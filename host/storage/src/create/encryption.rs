//! How a new image is encrypted: LUKS, around a raw disk or inside a qcow2 image.

use hostler_domain::storage_source::{Cipher, InitialVector, SecretReference};
use hostler_domain::volume::VolumeEncryption;
use hostler_image::Format;

use crate::error::{ErrorKind, StorageError};
use crate::passphrase::Passphrase;

/// How a new image is encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEncryption {
    /// The secret with its passphrase.
    pub secret: SecretReference,
    /// The passphrase, once it was looked up: an image is not made without.
    pub passphrase: Option<Passphrase>,
    /// With what; as QEMU has it when not given.
    pub cipher: Option<Cipher>,
    /// How initial vectors come about; as QEMU has it when not given.
    pub initial_vector: Option<InitialVector>,
}

impl NewEncryption {
    /// LUKS with the passphrase of this secret, and nothing else said.
    #[must_use]
    pub fn new(secret: SecretReference) -> Self {
        Self { secret, passphrase: None, cipher: None, initial_vector: None }
    }

    /// What a document asks for.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for another encryption than LUKS; [`ErrorKind::Invalid`] for other than one passphrase.
    pub(super) fn of(volume: &str, asked: &VolumeEncryption) -> Result<Self, StorageError> {
        if asked.format != "luks" {
            let message = format!(
                "the volume '{volume}' is to be encrypted with '{}', which is not made",
                asked.format
            );
            return Err(StorageError::new(ErrorKind::Unsupported, "volume.encryption", message)
                .about("volume", volume)
                .hint("use <encryption format='luks'>"));
        }
        let [secret] = asked.secrets.as_slice() else {
            let message = format!(
                "the volume '{volume}' is to be encrypted with {} secrets, and one is needed",
                asked.secrets.len()
            );
            return Err(StorageError::new(ErrorKind::Invalid, "volume.encryption-secrets", message)
                .about("volume", volume)
                .hint("name it: <secret type='passphrase' uuid='…'/>"));
        };
        Ok(Self {
            cipher: asked.cipher.clone(),
            initial_vector: asked.initial_vector.clone(),
            ..Self::new(secret.secret.clone())
        })
    }

    /// Refuses what an image of this format cannot be, and words that are none.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for the format, [`ErrorKind::Invalid`] for a word.
    pub(super) fn check(&self, volume: &str, format: Format) -> Result<(), StorageError> {
        if !matches!(format, Format::Raw | Format::Qcow2) {
            let message = format!("a volume of format '{format}' cannot be encrypted");
            return Err(StorageError::new(ErrorKind::Unsupported, "volume.encryption", message)
                .about("volume", volume)
                .hint("only raw and qcow2 volumes are encrypted, with LUKS"));
        }
        let wrong = self.options("").into_iter().find(|option| !option.bytes().all(is_word_byte));
        wrong.map_or(Ok(()), |option| {
            let message = format!("'{}' is no way to encrypt", option.escape_debug());
            Err(StorageError::new(ErrorKind::Invalid, "volume.encryption-cipher", message)
                .about("volume", volume))
        })
    }

    /// What qemu-img is told about it, each option behind `prefix`.
    pub(super) fn options(&self, prefix: &str) -> Vec<String> {
        let mut options = Vec::new();
        if let Some(Cipher { name, size, mode, hash }) = &self.cipher {
            options.push(format!("{prefix}cipher-alg={name}-{size}"));
            options.extend(mode.as_ref().map(|mode| format!("{prefix}cipher-mode={mode}")));
            options.extend(hash.as_ref().map(|hash| format!("{prefix}hash-alg={hash}")));
        }
        if let Some(InitialVector { name, hash }) = &self.initial_vector {
            options.push(format!("{prefix}ivgen-alg={name}"));
            options.extend(hash.as_ref().map(|hash| format!("{prefix}ivgen-hash-alg={hash}")));
        }
        options
    }
}

/// Letters of an option and its value: nothing that separates options.
fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'=')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(format: &str, inside: &str) -> Result<NewEncryption, StorageError> {
        let xml = format!(
            "<volume><name>a</name><capacity>1024</capacity><target><encryption format='{format}'>{inside}\
             </encryption></target></volume>"
        );
        let volume = hostler_domain::volume::StorageVolume::parse(&xml).unwrap();
        assert!(volume.unmodelled().is_empty(), "{:?}", volume.unmodelled());
        NewEncryption::of("a", &volume.target.encryption.unwrap())
    }

    const SECRET: &str = "<secret type='passphrase' usage='/a'/>";

    #[test]
    fn cipher_and_initial_vectors_become_options() {
        let cipher = "<cipher name='serpent' size='256' mode='xts' hash='sha512'/><ivgen name='plain64' hash='sha256'/>";
        let encryption = asked("luks", &format!("{SECRET}{cipher}")).unwrap();
        assert_eq!(
            encryption.options("encrypt.").join(","),
            "encrypt.cipher-alg=serpent-256,encrypt.cipher-mode=xts,encrypt.hash-alg=sha512,\
             encrypt.ivgen-alg=plain64,encrypt.ivgen-hash-alg=sha256"
        );
        encryption.check("a", Format::Raw).unwrap();
    }

    #[test]
    fn what_is_not_made_is_refused() {
        assert_eq!(asked("qcow", SECRET).unwrap_err().code(), "volume.encryption");
        assert_eq!(asked("luks", "").unwrap_err().code(), "volume.encryption-secrets");
        assert_eq!(asked("luks", &SECRET.repeat(2)).unwrap_err().code(), "volume.encryption-secrets");
        let plain = asked("luks", SECRET).unwrap();
        assert_eq!(plain.check("a", Format::Vdi).unwrap_err().code(), "volume.encryption");
        let sly = asked("luks", &format!("{SECRET}<cipher name='aes,key-secret=x' size='1'/>")).unwrap();
        assert_eq!(sly.check("a", Format::Raw).unwrap_err().code(), "volume.encryption-cipher");
    }
}
