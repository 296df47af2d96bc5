//! Which encryption goes with which format, and who decrypts.

use hostler_sdk::domain::storage_source::{Encryption, EncryptionEngine, Location, Protocol};

use super::{Broken, Subject, broken};

/// The most keys that one image can be locked with, one around the other.
const MOST_LIBRBD_KEYS: usize = 16;

pub(super) fn rule(subject: &Subject<'_>) -> Option<Broken> {
    let encryption = subject.source.encryption.as_ref()?;
    if encryption.cipher.is_some() || encryption.initial_vector.is_some() {
        return broken(
            "encryption-cipher",
            "says with which <cipher> or <ivgen> it is encrypted",
            "remove them: an image says itself; they are for volumes that are made",
        );
    }
    match encryption.engine {
        Some(EncryptionEngine::Librbd) => by_client(subject, encryption),
        Some(EncryptionEngine::Qemu) | None => by_qemu(subject, encryption),
    }
}

fn by_client(subject: &Subject<'_>, encryption: &Encryption) -> Option<Broken> {
    let is_ceph =
        matches!(&subject.source.location, Location::Network(network) if network.protocol == Protocol::Rbd);
    if !is_ceph {
        return broken(
            "encryption-engine",
            "is decrypted by 'librbd' and is no Ceph image",
            "write engine='qemu', or a source with protocol='rbd'",
        );
    }
    if !matches!(encryption.format.as_str(), "luks" | "luks2" | "luks-any") {
        return unknown(encryption, "use 'luks', 'luks2' or 'luks-any' with engine='librbd'");
    }
    if encryption.secrets.is_empty() || encryption.secrets.len() > MOST_LIBRBD_KEYS {
        return keys(encryption, "name one <secret> for each layer of encryption, at most 16");
    }
    None
}

fn by_qemu(subject: &Subject<'_>, encryption: &Encryption) -> Option<Broken> {
    match encryption.format.as_str() {
        "luks" => {}
        "luks2" | "luks-any" => {
            return broken(
                "encryption-engine",
                format!("has encryption '{}', which QEMU itself does not decrypt", encryption.format),
                "write engine='librbd' for a Ceph image, or use format='luks'",
            );
        }
        "default" | "qcow" => {
            return broken(
                "encryption-format",
                "has the old encryption of qcow, which is not safe and which QEMU no longer decrypts for guests",
                "convert the image with qemu-img to one with <encryption format='luks'>",
            );
        }
        _ => return unknown(encryption, "use <encryption format='luks'>"),
    }
    if !matches!(subject.format(), "raw" | "qcow2") {
        return broken(
            "encryption-format",
            format!("has encryption 'luks' in an image of format '{}'", subject.format()),
            "convert the image: only raw and qcow2 images are encrypted with LUKS",
        );
    }
    if encryption.secrets.len() != 1 {
        return keys(encryption, "name exactly one <secret>");
    }
    None
}

fn unknown(encryption: &Encryption, remedy: &'static str) -> Option<Broken> {
    broken(
        "encryption-format",
        format!("has encryption '{}', which nobody decrypts", encryption.format),
        remedy,
    )
}

fn keys(encryption: &Encryption, remedy: &'static str) -> Option<Broken> {
    broken(
        "encryption-secrets",
        format!("has {} secrets for its encryption", encryption.secrets.len()),
        remedy,
    )
}
