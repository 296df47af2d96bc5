//! Signatures of drivers: keys, what is signed, and the text in which signatures travel.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ed25519_dalek::{SECRET_KEY_LENGTH, SIGNATURE_LENGTH, Signature, Signer as _, SigningKey, VerifyingKey};

use crate::error::{GrantError, Kind, shown};
use crate::manifest::Manifest;

/// Largest text of signatures, in bytes: 16 signatures take 2.5 KiB.
pub const SIGNATURES_MAX_BYTES: usize = 4 << 10;
/// Most signatures of one driver.
pub const SIGNATURES_MAX: usize = 16;
/// First line of a text of signatures.
const HEADER: &str = "hostler-signatures 1";
/// How a public key begins.
const PUBLIC: &str = "ed25519:";
/// How a private key begins, so that neither is taken for the other.
const PRIVATE: &str = "ed25519-private:";
/// First line of what is signed: a signature for another purpose never counts here.
const DOMAIN: &str = "hostler driver signature 1";

/// What a signature says: this name in this version is this build.
fn statement(name: &str, version: &str, digest: &str) -> Vec<u8> {
    // Neither name nor version nor digest has a line feed, so no two statements are the same text.
    format!("{DOMAIN}\n{name}\n{version}\n{digest}\n").into_bytes()
}

/// Whose signatures can be checked with it: written `ed25519:` and base64.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl FromStr for PublicKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{}' is no public key: write '{PUBLIC}' and 32 bytes in base64", shown(text));
        let bytes = text.strip_prefix(PUBLIC).and_then(bytes::<SECRET_KEY_LENGTH>).ok_or_else(wrong)?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| wrong())?;
        if key.is_weak() {
            return Err(format!("'{}' is a weak key, for which anybody can sign", shown(text)));
        }
        Ok(Self(key))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC}{}", BASE64_STANDARD.encode(self.0.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What an author signs with. Never shown.
pub struct PrivateKey(SigningKey);

impl PrivateKey {
    /// The key that these random bytes make.
    #[must_use]
    pub fn from_seed(seed: &[u8; SECRET_KEY_LENGTH]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Reads the text of [`PrivateKey::text`].
    ///
    /// # Errors
    /// [`Kind::SignatureInvalid`], without anything of the text.
    pub fn parse(text: &str) -> Result<Self, GrantError> {
        let seed = text.trim_end().strip_prefix(PRIVATE).and_then(bytes::<SECRET_KEY_LENGTH>);
        seed.map(|seed| Self::from_seed(&seed)).ok_or_else(|| {
            GrantError::new(
                Kind::SignatureInvalid,
                format!("the file holds no private key: '{PRIVATE}' and 32 bytes in base64"),
                "make one with `hostler driver keygen FILE`",
            )
        })
    }

    /// The one line to keep in a file that only its owner can read.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{PRIVATE}{}\n", BASE64_STANDARD.encode(self.0.to_bytes()))
    }

    /// The key for those who check.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs a build of a driver.
    #[must_use]
    pub fn sign(&self, manifest: &Manifest, digest: &str) -> DriverSignature {
        let signature = self.0.sign(&statement(&manifest.name, &manifest.version, digest));
        DriverSignature { key: self.public(), signature }
    }
}

/// One signature, and the key that it says it was made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DriverSignature {
    key: PublicKey,
    signature: Signature,
}

impl DriverSignature {
    /// The key that it says it was made with.
    #[must_use]
    pub fn key(&self) -> PublicKey {
        self.key
    }

    /// Whether its key has signed just this. The strict check: no second signature can be made from one.
    #[must_use]
    pub fn is_over(&self, name: &str, version: &str, digest: &str) -> bool {
        self.key.0.verify_strict(&statement(name, version, digest), &self.signature).is_ok()
    }
}

/// The signatures that a driver comes with, in `NAME.wasm.sig` beside it:
///
/// ```text
/// hostler-signatures 1
/// ed25519:KEY SIGNATURE
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signatures(Vec<DriverSignature>);

impl Signatures {
    /// Reads such a text.
    ///
    /// # Errors
    /// [`Kind::SignatureInvalid`] naming the line.
    pub fn parse(bytes: &[u8]) -> Result<Self, GrantError> {
        let invalid = |why: String| {
            let hint = "sign the driver anew: hostler driver sign FILE --key KEYFILE";
            GrantError::new(Kind::SignatureInvalid, why, hint)
        };
        if bytes.len() > SIGNATURES_MAX_BYTES {
            let found = bytes.len();
            let why = format!("signatures of {found} bytes exceed the limit of {SIGNATURES_MAX_BYTES} bytes");
            return Err(invalid(why));
        }
        let text = str::from_utf8(bytes).map_err(|_| invalid("the signatures are no text".to_owned()))?;
        let mut lines = text.lines();
        if lines.next() != Some(HEADER) {
            return Err(invalid(format!("the signatures do not begin with '{HEADER}'")));
        }
        let mut signatures = Vec::new();
        for (line, number) in lines.zip(2..) {
            let signature = line.split_once(' ').and_then(|(key, signature)| {
                let signature = Signature::from_bytes(&self::bytes::<SIGNATURE_LENGTH>(signature)?);
                Some(DriverSignature { key: key.parse().ok()?, signature })
            });
            let wrong = || invalid(format!("line {number} of the signatures is not 'ed25519:KEY SIGNATURE'"));
            signatures.push(signature.ok_or_else(wrong)?);
        }
        if signatures.len() > SIGNATURES_MAX {
            let found = signatures.len();
            return Err(invalid(format!("there are {found} signatures; the limit is {SIGNATURES_MAX}")));
        }
        Ok(Self(signatures))
    }

    /// The text of them.
    #[must_use]
    pub fn text(&self) -> String {
        let line = |one: &DriverSignature| {
            format!("{} {}\n", one.key, BASE64_STANDARD.encode(one.signature.to_bytes()))
        };
        format!("{HEADER}\n{}", self.0.iter().map(line).collect::<String>())
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &DriverSignature> {
        self.0.iter()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds one, in place of an older one by the same key.
    pub fn add(&mut self, signature: DriverSignature) {
        self.0.retain(|other| other.key != signature.key);
        self.0.push(signature);
    }
}

/// Exactly so many bytes, in the one spelling that base64 has for them.
fn bytes<const LENGTH: usize>(text: &str) -> Option<[u8; LENGTH]> {
    BASE64_STANDARD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn manifest(name: &str, version: &str) -> Manifest {
        let text =
            format!(r#"{{"name":"{name}","version":"{version}","contract":"0.1.0","domain-types":["x"]}}"#);
        Manifest::parse(text.as_bytes()).unwrap()
    }

    fn key(byte: u8) -> PrivateKey {
        PrivateKey::from_seed(&[byte; 32])
    }

    #[test]
    fn signature_is_over_name_version_and_digest_together() {
        let signature = key(1).sign(&manifest("acme", "1.0"), "sha256:aa");
        assert!(signature.is_over("acme", "1.0", "sha256:aa"));
        for (name, version, digest) in
            [("acmf", "1.0", "sha256:aa"), ("acme", "1.1", "sha256:aa"), ("acme", "1.0", "sha256:ab")]
        {
            assert!(!signature.is_over(name, version, digest), "{name} {version} {digest}");
        }
        let claimed = DriverSignature { key: key(2).public(), ..signature };
        assert!(!claimed.is_over("acme", "1.0", "sha256:aa"));
    }

    #[test]
    fn keys_come_back_from_their_text_and_are_not_taken_for_each_other() {
        let private = key(3);
        assert_eq!(PrivateKey::parse(&private.text()).unwrap().public(), private.public());
        let public = private.public().to_string();
        assert_eq!(public.parse::<PublicKey>().unwrap(), private.public());
        assert!(PrivateKey::parse(&public).is_err() && private.text().parse::<PublicKey>().is_err());
    }

    #[test]
    fn wrong_and_weak_keys_are_refused() {
        let weak = format!("{PUBLIC}{}", BASE64_STANDARD.encode([&[1][..], &[0; 31]].concat()));
        assert!(weak.parse::<PublicKey>().unwrap_err().contains("weak"));
        for text in ["", "ed25519:", "ed25519:AAAA", "rsa:AAAA"] {
            assert!(text.parse::<PublicKey>().unwrap_err().contains("no public key"), "{text}");
        }
    }

    #[test]
    fn signatures_come_back_from_their_text() {
        let mut signatures = Signatures::default();
        assert_eq!(Signatures::parse(signatures.text().as_bytes()).unwrap(), signatures);
        for byte in [1, 2, 1] {
            signatures.add(key(byte).sign(&manifest("a", "1"), "sha256:aa"));
        }
        assert_eq!(signatures.iter().count(), 2);
        assert_eq!(Signatures::parse(signatures.text().as_bytes()).unwrap(), signatures);
    }

    #[test]
    fn wrong_texts_say_where() {
        let many = format!("{HEADER}\n{}", "x\n".repeat(SIGNATURES_MAX_BYTES));
        for (text, expected) in [
            ("", "do not begin with"),
            ("hostler-signatures 1\nx", "line 2"),
            ("hostler-signatures 1\n\n", "line 2"),
            (many.as_str(), "exceed the limit"),
        ] {
            let error = Signatures::parse(text.as_bytes()).unwrap_err();
            assert_eq!(error.kind, Kind::SignatureInvalid);
            assert!(error.to_string().contains(expected), "{error}");
        }
        assert!(Signatures::parse(b"hostler-signatures 1\n\xff").is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

        #[test]
        fn changed_text_never_verifies_as_something_else(
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let mut signatures = Signatures::default();
            signatures.add(key(7).sign(&manifest("a", "1"), "sha256:aa"));
            let whole = signatures.text().into_bytes();
            let mut bytes = whole.clone();
            let index = at.index(bytes.len());
            bytes[index] = byte;
            if let Ok(read) = Signatures::parse(&bytes) {
                let valid = read.iter().any(|one| one.is_over("a", "1", "sha256:aa"));
                prop_assert!(!valid || read == signatures);
            }
        }
    }
}
