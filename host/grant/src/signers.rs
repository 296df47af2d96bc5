//! Whose signatures count for which drivers, and whether a driver has one of them.

use serde::{Deserialize, Deserializer, de};

use crate::error::{GrantError, Kind, shown};
use crate::manifest::{LIST_MAX_ENTRIES, Manifest};
use crate::policy::Policy;
use crate::signature::{PublicKey, Signatures};

/// One whose signature counts: `"ed25519:KEY"`, or with the drivers for which it counts.
///
/// ```json
/// { "key": "ed25519:…", "drivers": ["qemu", "acme-*"] }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// The public key.
    pub key: PublicKey,
    /// Names of drivers, or beginnings of names that end in `*`; `*` alone is every driver.
    pub drivers: Vec<String>,
}

impl Signer {
    /// Whether its signature counts for a driver of this name.
    #[must_use]
    pub fn may_sign(&self, driver: &str) -> bool {
        self.drivers.iter().any(|written| match written.strip_suffix('*') {
            Some(start) => driver.starts_with(start),
            None => driver == written,
        })
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Key(String),
    Whole(Whole),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    key: String,
    drivers: Vec<String>,
}

impl<'de> Deserialize<'de> for Signer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = "a signer is a key, or an object of 'key' and 'drivers' and nothing else";
        let (key, drivers) = match Written::deserialize(deserializer).map_err(|_| de::Error::custom(wrong))? {
            Written::Key(key) => (key, vec!["*".to_owned()]),
            Written::Whole(Whole { key, drivers }) => (key, drivers),
        };
        if drivers.len() > LIST_MAX_ENTRIES {
            return Err(de::Error::custom(format!(
                "a signer has at most {LIST_MAX_ENTRIES} entries in 'drivers'"
            )));
        }
        Ok(Self { key: key.parse().map_err(de::Error::custom)?, drivers })
    }
}

/// Who signed this build, by the policy's name for the key; nothing when the policy names no keys.
///
/// # Errors
/// [`Kind::Unsigned`] or [`Kind::SignatureInvalid`]: with at least one key in the policy, nothing passes without it.
pub(crate) fn signer_of(
    manifest: &Manifest,
    digest: &str,
    signatures: &Signatures,
    policy: &Policy,
) -> Result<Option<String>, GrantError> {
    if policy.signers.is_empty() {
        return Ok(None);
    }
    let (driver, version) = (&manifest.name, &manifest.version);
    let mut nearest = None;
    for (name, signer) in &policy.signers {
        let called = shown(name);
        let Some(signature) = signatures.iter().find(|signature| signature.key() == signer.key) else {
            continue;
        };
        if !signature.is_over(driver, version, digest) {
            nearest = Some(format!(
                "the signature of '{called}' is not over driver '{driver}' {version} ({digest})"
            ));
        } else if signer.may_sign(driver) {
            return Ok(Some(name.clone()));
        } else {
            nearest.get_or_insert(format!(
                "'{called}' signed driver '{driver}', and may sign {} only",
                shown(&signer.drivers.join(", "))
            ));
        }
    }
    Err(refusal(manifest, signatures, policy, nearest))
}

fn refusal(
    manifest: &Manifest,
    signatures: &Signatures,
    policy: &Policy,
    nearest: Option<String>,
) -> GrantError {
    let (driver, version) = (&manifest.name, &manifest.version);
    let named = shown(&policy.signers.keys().map(String::as_str).collect::<Vec<_>>().join(", "));
    if let Some(why) = nearest {
        let hint =
            "get this build with its own signature, or sign it: hostler driver sign FILE --key KEYFILE";
        return GrantError::new(Kind::SignatureInvalid, why, hint);
    }
    if let Some(first) = signatures.iter().next() {
        let message = format!(
            "driver '{driver}' {version} is signed by {}, which the policy does not name",
            first.key()
        );
        let hint = format!("if you trust that key, add it to the policy's signers (now: {named})");
        return GrantError::new(Kind::Unsigned, message, hint);
    }
    let message = format!(
        "driver '{driver}' {version} is not signed, and the policy wants a signature by one of: {named}"
    );
    let hint = format!(
        "put the signature beside it, as {driver}.wasm.sig, or make one: hostler driver sign FILE --key KEYFILE"
    );
    GrantError::new(Kind::Unsigned, message, hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::grant;
    use crate::policy::Tenant;
    use crate::signature::PrivateKey;

    fn manifest(name: &str) -> Manifest {
        let text = format!(r#"{{"name":"{name}","version":"1","contract":"0.1.0","domain-types":["x"]}}"#);
        Manifest::parse(text.as_bytes()).unwrap()
    }

    fn key(byte: u8) -> PrivateKey {
        PrivateKey::from_seed(&[byte; 32])
    }

    /// Signed by the keys of these bytes, for a policy with the key 1 for all and the key 2 for `acme-*`.
    fn decide(driver: &str, digest: &str, keys: &[u8]) -> Result<Option<String>, Kind> {
        let text = format!(
            r#"{{"signers":{{"all":"{}","acme":{{"key":"{}","drivers":["acme-*"]}}}}}}"#,
            key(1).public(),
            key(2).public()
        );
        let mut signatures = Signatures::default();
        for byte in keys {
            signatures.add(key(*byte).sign(&manifest(driver), "sha256:aa"));
        }
        let policy = Policy::parse(text.as_bytes()).unwrap();
        grant(&manifest(driver), digest, &signatures, &policy, &Tenant::default())
            .map(|granted| granted.signer)
            .map_err(|error| error.kind)
    }

    #[test]
    fn one_signature_by_who_may_sign_is_enough() {
        assert_eq!(decide("qemu", "sha256:aa", &[1]), Ok(Some("all".to_owned())));
        assert_eq!(decide("acme-vm", "sha256:aa", &[2]), Ok(Some("acme".to_owned())));
        assert_eq!(decide("qemu", "sha256:aa", &[3, 2, 1]), Ok(Some("all".to_owned())));
    }

    #[test]
    fn anything_else_is_refused() {
        assert_eq!(decide("qemu", "sha256:aa", &[]), Err(Kind::Unsigned));
        assert_eq!(decide("qemu", "sha256:aa", &[3]), Err(Kind::Unsigned));
        assert_eq!(decide("qemu", "sha256:aa", &[2]), Err(Kind::SignatureInvalid));
        assert_eq!(decide("qemu", "sha256:ab", &[1]), Err(Kind::SignatureInvalid));
    }

    #[test]
    fn policy_without_keys_asks_for_no_signature() {
        let policy = Policy::parse(b"{}").unwrap();
        let granted = grant(&manifest("q"), "sha256:aa", &Signatures::default(), &policy, &Tenant::default());
        assert_eq!(granted.unwrap().signer, None);
    }

    #[test]
    fn signer_with_unknown_fields_is_refused() {
        let text = format!(r#"{{"signers":{{"a":{{"key":"{}","driver":["x"]}}}}}}"#, key(1).public());
        assert!(Policy::parse(text.as_bytes()).is_err());
    }
}
