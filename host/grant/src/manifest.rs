//! The manifest: what a driver says it is and asks for, read before anything of it is compiled.

use std::collections::HashSet;
use std::hash::Hash;

use serde::Deserialize;

use crate::capability::Grant;
use crate::contract;
use crate::error::{GrantError, Kind, shown};

/// Largest manifest, in bytes.
pub const MANIFEST_MAX_BYTES: usize = 64 << 10;
/// Longest name or version, in bytes.
pub const NAME_MAX_BYTES: usize = 64;
/// Most entries in each list of a manifest.
pub const LIST_MAX_ENTRIES: usize = 64;

/// The content of the component's custom section `hostler:manifest`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The driver's name: 1 to 64 lower-case letters, digits and `-`, beginning with a letter.
    pub name: String,
    /// The driver's own version: 1 to 64 letters, digits, `.`, `+` and `-`.
    pub version: String,
    /// The contract it was made for; one that this host offers.
    pub contract: String,
    /// The values of `domain/@type` that it takes (`kvm`); at least one.
    pub domain_types: Vec<String>,
    /// The URI schemes it serves (`qemu`); may be empty.
    pub uri_schemes: Vec<String>,
    /// What it asks for.
    pub grants: Vec<Grant>,
    /// The optional interfaces it says it exports.
    pub abilities: Vec<String>,
}

/// As written. Fields of later contracts are passed over, so that their version is what gets reported.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Written {
    name: String,
    version: String,
    contract: String,
    domain_types: Vec<String>,
    #[serde(default)]
    uri_schemes: Vec<String>,
    #[serde(default)]
    grants: Vec<String>,
    #[serde(default)]
    abilities: Vec<String>,
}

impl Manifest {
    /// Reads a manifest and checks everything in it, the contract version first.
    ///
    /// # Errors
    /// [`Kind::ManifestInvalid`] or [`Kind::ContractVersion`].
    pub fn parse(bytes: &[u8]) -> Result<Self, GrantError> {
        let (manifest, problems) = Self::judge(bytes);
        match problems.into_iter().next() {
            Some(problem) => Err(problem),
            None => manifest.ok_or_else(|| invalid("manifest cannot be read".to_owned())),
        }
    }

    /// The same with every problem, the first the one that [`Self::parse`] gives. A manifest comes along when what is
    /// wrong leaves one to look at further; what it says is not to be relied on then.
    #[must_use]
    pub fn judge(bytes: &[u8]) -> (Option<Self>, Vec<GrantError>) {
        if bytes.len() > MANIFEST_MAX_BYTES {
            let (found, limit) = (bytes.len(), MANIFEST_MAX_BYTES);
            let message = format!("manifest of {found} bytes exceeds the limit of {limit} bytes");
            return (None, vec![invalid(message)]);
        }
        #[derive(Deserialize)]
        struct ContractOnly {
            contract: String,
        }
        let broken = |error: serde_json::Error| {
            invalid(format!("manifest cannot be read: {}", shown(&error.to_string())))
        };
        let first: ContractOnly = match serde_json::from_slice(bytes) {
            Ok(first) => first,
            Err(error) => return (None, vec![broken(error)]),
        };
        let mut problems: Vec<_> = contract::check_contract(&first.contract).err().into_iter().collect();
        match serde_json::from_slice::<Written>(bytes) {
            Ok(written) => (Some(written.judge(&mut problems)), problems),
            // What a later contract writes otherwise is no second problem.
            Err(_) if !problems.is_empty() => (None, problems),
            Err(error) => (None, vec![broken(error)]),
        }
    }
}

impl Written {
    fn judge(self, problems: &mut Vec<GrantError>) -> Manifest {
        let (grants, wrong): (Vec<_>, Vec<_>) =
            self.grants.iter().map(|text| text.parse::<Grant>()).partition(Result::is_ok);
        let grants: Vec<Grant> = grants.into_iter().flatten().collect();
        let no_type = "manifest names no domain type that the driver takes";
        let no_type = if self.domain_types.is_empty() { Err(invalid(no_type.to_owned())) } else { Ok(()) };
        let checks = [
            check_word("name", &self.name, is_name),
            check_word("version", &self.version, is_version),
            check_list("domain-types", &self.domain_types, is_name),
            no_type,
            check_list("uri-schemes", &self.uri_schemes, is_scheme),
            check_list("abilities", &self.abilities, is_name),
            check_length("grants", &self.grants),
        ];
        problems.extend(checks.into_iter().filter_map(Result::err));
        problems.extend(wrong.into_iter().filter_map(Result::err).take(LIST_MAX_ENTRIES));
        problems.extend(check_distinct("grants", &grants).err());
        let Self { name, version, contract, domain_types, uri_schemes, abilities, .. } = self;
        Manifest { name, version, contract, domain_types, uri_schemes, grants, abilities }
    }
}

/// Whether a text can be the name of a driver: 1 to 64 lower-case letters, digits and `-`, beginning with a letter.
#[must_use]
pub fn is_driver_name(text: &str) -> bool {
    text.len() <= NAME_MAX_BYTES && is_name(text)
}

fn is_name(text: &str) -> bool {
    let rest = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.starts_with(|first: char| first.is_ascii_lowercase()) && text.bytes().all(rest)
}

fn is_version(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-'))
}

fn is_scheme(text: &str) -> bool {
    let rest =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'+' | b'-');
    text.starts_with(|first: char| first.is_ascii_lowercase()) && text.bytes().all(rest)
}

fn check_word(field: &str, text: &str, fine: impl Fn(&str) -> bool) -> Result<(), GrantError> {
    if !text.is_empty() && text.len() <= NAME_MAX_BYTES && fine(text) {
        return Ok(());
    }
    Err(invalid(format!(
        "manifest field '{field}' has the value '{}', which is empty, too long or has characters that are not allowed",
        shown(text)
    )))
}

fn check_length<T>(field: &str, list: &[T]) -> Result<(), GrantError> {
    if list.len() <= LIST_MAX_ENTRIES {
        return Ok(());
    }
    let found = list.len();
    Err(invalid(format!("manifest field '{field}' has {found} entries; the limit is {LIST_MAX_ENTRIES}")))
}

fn check_list(field: &str, list: &[String], fine: impl Fn(&str) -> bool) -> Result<(), GrantError> {
    check_length(field, list)?;
    list.iter().try_for_each(|text| check_word(field, text, &fine))?;
    check_distinct(field, list)
}

fn check_distinct<T: Eq + Hash + ToString>(field: &str, list: &[T]) -> Result<(), GrantError> {
    let mut seen = HashSet::new();
    match list.iter().find(|entry| !seen.insert(*entry)) {
        Some(twice) => Err(invalid(format!("manifest field '{field}' names '{}' twice", twice.to_string()))),
        None => Ok(()),
    }
}

fn invalid(message: String) -> GrantError {
    GrantError::new(
        Kind::ManifestInvalid,
        message,
        "this is for the driver's author: the SDK writes a valid manifest",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const QEMU: &str = r#"{"name":"qemu","version":"0.1.0","contract":"0.1.0","domain-types":["kvm","tcg"],
        "uri-schemes":["qemu"],
        "grants":["process:qemu-system-x86_64","qmp","storage"],"abilities":["native-config"]}"#;

    fn message(text: &str) -> String {
        Manifest::parse(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn whole_manifest_is_read() {
        let manifest = Manifest::parse(QEMU.as_bytes()).unwrap();
        assert_eq!((manifest.name.as_str(), manifest.version.as_str()), ("qemu", "0.1.0"));
        assert_eq!(manifest.domain_types, ["kvm", "tcg"]);
        assert_eq!(manifest.uri_schemes, ["qemu"]);
        assert_eq!(manifest.abilities, ["native-config"]);
        let grants: Vec<_> = manifest.grants.iter().map(ToString::to_string).collect();
        assert_eq!(grants, ["process:qemu-system-x86_64", "qmp", "storage"]);
    }

    #[test]
    fn shortest_manifest_asks_for_nothing() {
        let manifest = Manifest::parse(
            br#"{"name":"t","version":"1","contract":"0.1.0","domain-types":["t"],"grants":[]}"#,
        )
        .unwrap();
        assert!(manifest.grants.is_empty() && manifest.abilities.is_empty());
    }

    #[test]
    fn wrong_fields_are_named() {
        for (from, to, expected) in [
            ("\"qemu\",\"version", "\"Qemu\",\"version", "'name' has the value 'Qemu'"),
            ("\"qemu\",\"version", "\"\",\"version", "'name'"),
            ("\"0.1.0\",\"contract", "\"1 beta\",\"contract", "'version'"),
            ("[\"kvm\",\"tcg\"]", "[]", "no domain type"),
            ("\"tcg\"", "\"T C G\"", "'domain-types'"),
            ("[\"qemu\"]", "[\"qemu:\"]", "'uri-schemes'"),
            ("[\"qemu\"]", "[\"a\",\"a\"]", "names 'a' twice"),
            ("\"qmp\"", "\"storage\"", "names 'storage' twice"),
            ("\"qmp\"", "\"monitor\"", "'monitor' is no capability"),
            ("\"native-config\"", "\"Native\"", "'abilities'"),
            ("\"grants\"", "\"name\"", "cannot be read"),
            ("}", "", "cannot be read"),
        ] {
            let text = QEMU.replacen(from, to, 1);
            assert!(message(&text).contains(expected), "{to}: {}", message(&text));
        }
    }

    #[test]
    fn limits_are_kept() {
        assert!(message(&" ".repeat(MANIFEST_MAX_BYTES + 1)).contains("exceeds the limit of 65536 bytes"));
        let long = QEMU.replacen("\"qemu\"", &format!("\"{}\"", "q".repeat(NAME_MAX_BYTES + 1)), 1);
        assert!(message(&long).contains("too long"));
        let many: Vec<_> = (0..=LIST_MAX_ENTRIES).map(|n| format!("\"process:p{n}\"")).collect();
        assert!(message(&QEMU.replace("\"qmp\"", &many.join(","))).contains("the limit is 64"));
    }

    #[test]
    fn manifest_of_a_later_contract_is_refused_for_its_version() {
        let text = r#"{"name":7,"contract":"0.9.0","grants":{"new":"form"}}"#;
        assert_eq!(Manifest::parse(text.as_bytes()).unwrap_err().kind, Kind::ContractVersion);
    }

    #[test]
    fn every_problem_is_found_at_once() {
        let text =
            r#"{"name":"Q","version":"","contract":"0.9.0","domain-types":[],"grants":["qpm","process"]}"#;
        let (manifest, problems) = Manifest::judge(text.as_bytes());
        assert_eq!(manifest.unwrap().name, "Q");
        let text: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(problems[0].kind, Kind::ContractVersion);
        for expected in ["'name'", "'version'", "no domain type", "'qpm' is no capability", "needs a scope"] {
            assert!(text.iter().any(|problem| problem.contains(expected)), "{expected}: {text:?}");
        }
        assert_eq!(problems.len(), 6);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

        #[test]
        fn changed_bytes_never_panic(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
            let mut bytes = QEMU.as_bytes().to_vec();
            let index = at.index(bytes.len());
            bytes[index] = byte;
            if cut {
                bytes.truncate(index);
            }
            if let Err(error) = Manifest::parse(&bytes) {
                prop_assert!(!error.to_string().contains(char::is_control));
            }
        }
    }
}
