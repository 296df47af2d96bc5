//! What the operator lets drivers have, and what a tenant may use.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::allow::AllowList;
use crate::capability::Grant;
use crate::error::{GrantError, Kind, escaped, shown};
use crate::settings::{self, CallSettings, RateSettings};
use crate::signers::Signer;

/// Largest policy file, in bytes.
pub const POLICY_MAX_BYTES: usize = 1 << 20;
/// The policy of a host whose operator wrote none.
const BUILT_IN: &str = include_str!("default-policy.json");
/// How the digest of a component begins; 64 hexadecimal digits follow.
const DIGEST_START: &str = "sha256:";
/// Length of those digits.
const DIGEST_DIGITS: usize = 64;

/// The operator's policy: what each driver may have, by the name in its manifest.
///
/// ```json
/// { "default": { "allow": ["storage"] },
///   "drivers": { "qemu": { "allow": ["storage", "process:qemu-system-*", "qmp"], "digest": "sha256:…",
///                          "limits": { "memory-mib": 32 } } },
///   "rates": { "cpu-ms-per-second": 200 },
///   "stack-kib": 256,
///   "signers": { "acme": { "key": "ed25519:…", "drivers": ["acme-*"] } },
///   "revoked": ["sha256:…"] }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// For drivers that are not named; an entry of its own replaces it, but for the limits that it does not say.
    #[serde(default)]
    pub default: DefaultPolicy,
    /// For drivers by name.
    #[serde(default)]
    pub drivers: BTreeMap<String, DriverPolicy>,
    /// Whose signatures count, by a name for people. With at least one, a driver that none of them signed is refused.
    #[serde(default)]
    pub signers: BTreeMap<String, Signer>,
    /// What all drivers of one tenant may use together.
    #[serde(default)]
    pub rates: RateSettings,
    /// Stack of guest code, in KiB, 64 to 512: one size for all drivers.
    #[serde(default, rename = "stack-kib")]
    pub stack_kib: Option<u64>,
    /// Builds (`sha256:` and 64 hexadecimal digits) that are refused whoever signed them.
    #[serde(default)]
    pub revoked: BTreeSet<String>,
    /// What the operator said of drivers by command; the host keeps it, no policy file has it.
    #[serde(skip)]
    pub consents: BTreeMap<String, Consent>,
}

/// What the operator said of one driver by command, beside the policy file.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Consent {
    /// What it may have beyond the policy file.
    pub allow: Vec<Grant>,
    /// What it may not have, whatever the policy file allows.
    pub deny: Vec<Grant>,
    /// The only build that may be loaded.
    pub pin: Option<String>,
}

/// What a driver that the policy does not name may have.
#[derive(Clone, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DefaultPolicy {
    /// What it may have.
    pub allow: AllowList,
    /// What a call of it may use, and one of a named driver whose entry does not say it.
    #[serde(default)]
    pub limits: CallSettings,
}

/// What one driver may have.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DriverPolicy {
    /// What it may have.
    pub allow: AllowList,
    /// The only build that may have it (`sha256:` and 64 hexadecimal digits); any build when absent. Names
    /// are free to take, so an operator who installs drivers of others pins those that matter.
    #[serde(default)]
    pub digest: Option<String>,
    /// What a call of it may use.
    #[serde(default)]
    pub limits: CallSettings,
}

/// What may be used on behalf of one tenant.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tenant {
    /// The tenant's name.
    pub name: String,
    /// What it may use.
    #[serde(default = "AllowList::everything")]
    pub allow: AllowList,
    /// The drivers that it may use, by name; every one when it is not said.
    #[serde(default)]
    pub drivers: Option<Vec<String>>,
}

impl Policy {
    /// Reads an operator's policy file.
    ///
    /// # Errors
    /// [`Kind::PolicyInvalid`] with line and column.
    pub fn parse(bytes: &[u8]) -> Result<Self, GrantError> {
        let policy: Self = parse("policy", bytes)?;
        for (name, driver) in &policy.drivers {
            if driver.digest.as_deref().is_some_and(|digest| !is_digest(digest)) {
                return Err(GrantError::new(
                    Kind::PolicyInvalid,
                    format!(
                        "policy of driver '{}': the digest is not 'sha256:' and 64 hexadecimal digits",
                        shown(name)
                    ),
                    "copy the digest from `hostler driver list -o json`",
                ));
            }
        }
        if let Some(wrong) = policy.revoked.iter().find(|digest| !is_digest(digest)) {
            let message =
                format!("policy: revoked '{}' is not 'sha256:' and 64 hexadecimal digits", shown(wrong));
            return Err(GrantError::new(Kind::PolicyInvalid, message, "copy the digest from the advisory"));
        }
        policy.check_limits()?;
        Ok(policy)
    }

    fn check_limits(&self) -> Result<(), GrantError> {
        self.rates.check()?;
        settings::check_stack(self.stack_kib)?;
        self.default.limits.check("default")?;
        self.drivers
            .iter()
            .try_for_each(|(name, driver)| driver.limits.check(&format!("driver '{}'", shown(name))))
    }

    /// What a call of this driver may use: as its own entry says, or else the default.
    #[must_use]
    pub fn limits_for(&self, driver: &str) -> CallSettings {
        self.drivers.get(driver).map_or(self.default.limits, |entry| entry.limits.or(self.default.limits))
    }

    /// The policy that ships with hostler: its own drivers by name, and no programs for others.
    ///
    /// # Errors
    /// None in a tested build: the text is part of the program.
    pub fn built_in() -> Result<Self, GrantError> {
        Self::parse(BUILT_IN.as_bytes())
    }

    /// What applies to a driver: its own entry, or else the default.
    pub(crate) fn allow_for(&self, driver: &str) -> &AllowList {
        self.drivers.get(driver).map_or(&self.default.allow, |entry| &entry.allow)
    }
}

impl Tenant {
    /// Reads a tenant's rules.
    ///
    /// # Errors
    /// [`Kind::PolicyInvalid`] with line and column.
    pub fn parse(bytes: &[u8]) -> Result<Self, GrantError> {
        parse("tenant", bytes)
    }
}

impl Default for Tenant {
    /// The one tenant of a host that has no others: it may use everything that the policy gives.
    fn default() -> Self {
        Self { name: "default".to_owned(), allow: AllowList::everything(), drivers: None }
    }
}

fn parse<'a, T: Deserialize<'a>>(what: &str, bytes: &'a [u8]) -> Result<T, GrantError> {
    if bytes.len() > POLICY_MAX_BYTES {
        let message =
            format!("{what} of {} bytes exceeds the limit of {POLICY_MAX_BYTES} bytes", bytes.len());
        return Err(GrantError::new(Kind::PolicyInvalid, message, "shorten it"));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        // The message can quote the file, and this one ends in "at line L column C": it is escaped, not cut.
        let why = escaped(&error.to_string());
        let hint = format!("correct the {what}; nothing is granted until it can be read");
        GrantError::new(Kind::PolicyInvalid, why, hint).within(&format!("{what} cannot be read"))
    })
}

/// Whether a text is the digest of a component: `sha256:` and 64 lower-case hexadecimal digits.
#[must_use]
pub fn is_digest(text: &str) -> bool {
    let lower_hex = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
    text.strip_prefix(DIGEST_START)
        .is_some_and(|digits| digits.len() == DIGEST_DIGITS && digits.bytes().all(lower_hex))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability::Capability;

    #[test]
    fn built_in_policy_gives_programs_to_its_own_drivers_only() {
        let policy = Policy::built_in().unwrap();
        let qemu = policy.allow_for("qemu");
        assert!(qemu.allows(Capability::Process, "qemu-system-x86_64") && qemu.allows(Capability::Qmp, ""));
        assert!(!qemu.allows(Capability::Process, "sh"));
        let stranger = policy.allow_for("stranger");
        assert!(
            !stranger.allows(Capability::Process, "qemu-system-x86_64")
                && !stranger.allows(Capability::Qmp, "")
        );
    }

    #[test]
    fn empty_policy_allows_nothing() {
        let policy = Policy::parse(b"{}").unwrap();
        assert!(!policy.allow_for("qemu").allows(Capability::Storage, ""));
    }

    #[test]
    fn wrong_policies_say_where() {
        for (text, expected) in [
            (r#"{"drivers":{"q":{"alow":[]}}}"#, "unknown field `alow`"),
            (r#"{"drivers":{"q":{}}}"#, "missing field `allow`"),
            (r#"{"drivers":{"q":{"allow":["qpm"]}}}"#, "'qpm' is no capability"),
            ("{\n  x", "line 2 column 3"),
            (r#"{"drivers":{"q":{"allow":[],"digest":"sha256:12"}}}"#, "64 hexadecimal digits"),
            (r#"{"revoked":["12"]}"#, "64 hexadecimal digits"),
            (r#"{"signers":{"a":"ed25519:AA"}}"#, "no public key"),
            (r#"{"consents":{}}"#, "unknown field `consents`"),
        ] {
            let error = Policy::parse(text.as_bytes()).unwrap_err();
            assert_eq!(error.kind, Kind::PolicyInvalid);
            assert!(error.to_string().contains(expected), "{text}: {error}");
        }
        assert!(
            Policy::parse(&vec![b' '; POLICY_MAX_BYTES + 1]).unwrap_err().to_string().contains("exceeds")
        );
    }

    #[test]
    fn tenant_may_use_everything_unless_told_otherwise() {
        assert_eq!(Tenant::parse(br#"{"name":"default"}"#).unwrap(), Tenant::default());
        let tenant = Tenant::parse(br#"{"name":"a","allow":["storage"]}"#).unwrap();
        assert!(tenant.allow.allows(Capability::Storage, "") && !tenant.allow.allows(Capability::Qmp, ""));
        assert!(Tenant::parse(br#"{"allow":[]}"#).is_err());
    }
}
