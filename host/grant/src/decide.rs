//! The decision: what manifest, policy and tenant agree on, and who denied the rest.

use std::fmt;

use crate::capability::{Capability, Grant};
use crate::error::{GrantError, Kind, shown};
use crate::manifest::Manifest;
use crate::policy::{Policy, Tenant};
use crate::signature::Signatures;
use crate::signers;

/// Who said no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denier {
    /// The operator's policy.
    Policy,
    /// The operator, by command.
    Operator,
    /// The tenant's rules.
    Tenant,
}

impl fmt::Display for Denier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Policy => "the operator's policy",
            Self::Operator => "the operator",
            Self::Tenant => "the tenant's rules",
        })
    }
}

/// A grant that a driver asked for and did not get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// What it asked for.
    pub grant: Grant,
    /// Who said no.
    pub by: Denier,
    /// Why, as a sentence.
    pub reason: String,
    /// What would change that.
    pub remedy: String,
}

/// What one driver has, on behalf of one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The driver's name.
    pub driver: String,
    /// The tenant's name.
    pub tenant: String,
    /// Who signed it, by the policy's name for the key; nothing when the policy names no keys.
    pub signer: Option<String>,
    /// What it has, in the order of its manifest, beside what every driver has.
    pub granted: Vec<Grant>,
    /// What it asked for and does not have.
    pub denied: Vec<Denied>,
}

/// Intersects what the driver asks for with what policy and tenant allow.
///
/// `digest` is the component's, `sha256:` and 64 hexadecimal digits; `signatures` are those it came with. That
/// something is denied is no error: the driver runs without it, and meets [`Granted::require`] when it uses it.
///
/// # Errors
/// [`Kind::Denied`] when the tenant may not use this driver, and the first of [`refusals`]: then the driver gets nothing
/// at all.
pub fn grant(
    manifest: &Manifest,
    digest: &str,
    signatures: &Signatures,
    policy: &Policy,
    tenant: &Tenant,
) -> Result<Granted, GrantError> {
    tenant.require_driver(&manifest.name)?;
    if let Some(refusal) = refusals(manifest, digest, signatures, policy).into_iter().next() {
        return Err(refusal);
    }
    let mut decided = grants(manifest, policy, tenant);
    decided.signer = signers::signer_of(manifest, digest, signatures, policy)?;
    Ok(decided)
}

/// Everything for which the policy refuses this build as a whole.
///
/// [`Kind::Revoked`], [`Kind::DigestMismatch`] when another build is pinned, [`Kind::Unsigned`] and
/// [`Kind::SignatureInvalid`] when the policy names signers and none of them has signed it.
#[must_use]
pub fn refusals(
    manifest: &Manifest,
    digest: &str,
    signatures: &Signatures,
    policy: &Policy,
) -> Vec<GrantError> {
    let checks = [
        check_revoked(manifest, digest, policy),
        check_pin(manifest, digest, policy),
        check_command_pin(manifest, digest, policy),
        signers::signer_of(manifest, digest, signatures, policy).map(drop),
    ];
    checks.into_iter().filter_map(Result::err).collect()
}

/// Decides on each grant that the manifest asks for; says nothing about who signed it.
#[must_use]
pub fn grants(manifest: &Manifest, policy: &Policy, tenant: &Tenant) -> Granted {
    let allow = policy.allow_for(&manifest.name);
    let consent = policy.consents.get(&manifest.name);
    let (driver, tenant_name) = (manifest.name.clone(), tenant.name.clone());
    let (granted, denied) = (Vec::new(), Vec::new());
    let mut decided = Granted { driver, tenant: tenant_name, signer: None, granted, denied };
    for grant in &manifest.grants {
        let consented = consent.is_some_and(|consent| consent.allow.contains(grant));
        if consent.is_some_and(|consent| consent.deny.contains(grant)) {
            decided.denied.push(denied_by_operator(grant, manifest));
        } else if !consented && !allow.allows(grant.capability, &grant.scope) {
            decided.denied.push(denied_by_policy(grant, manifest, policy));
        } else if !tenant.allow.allows(grant.capability, &grant.scope) {
            decided.denied.push(denied_by_tenant(grant, manifest, tenant));
        } else {
            decided.granted.push(grant.clone());
        }
    }
    decided
}

fn check_revoked(manifest: &Manifest, digest: &str, policy: &Policy) -> Result<(), GrantError> {
    if !policy.revoked.contains(digest) {
        return Ok(());
    }
    let message =
        format!("driver '{}' {} ({digest}) is revoked by the policy", manifest.name, manifest.version);
    Err(GrantError::new(Kind::Revoked, message, "install a newer version of the driver"))
}

fn check_command_pin(manifest: &Manifest, digest: &str, policy: &Policy) -> Result<(), GrantError> {
    let name = &manifest.name;
    match policy.consents.get(name).and_then(|consent| consent.pin.as_deref()) {
        Some(pinned) if pinned != digest => Err(GrantError::new(
            Kind::DigestMismatch,
            format!("driver '{name}' {} has the digest {digest}, and {pinned} is pinned", manifest.version),
            format!(
                "pin this build (hostler driver pin {name} {digest}), or any (hostler driver pin {name} --none)"
            ),
        )),
        _ => Ok(()),
    }
}

fn check_pin(manifest: &Manifest, digest: &str, policy: &Policy) -> Result<(), GrantError> {
    let name = &manifest.name;
    match policy.drivers.get(name).and_then(|entry| entry.digest.as_deref()) {
        Some(pinned) if pinned != digest => Err(GrantError::new(
            Kind::DigestMismatch,
            format!("driver '{name}' {} has the digest {digest}, the policy pins {pinned}", manifest.version),
            format!("install the pinned build, or set drivers.{name}.digest in the policy to '{digest}'"),
        )),
        _ => Ok(()),
    }
}

fn denied_by_policy(grant: &Grant, manifest: &Manifest, policy: &Policy) -> Denied {
    let name = &manifest.name;
    let (reason, remedy) = if policy.drivers.contains_key(name) {
        (
            format!("the policy's entry for driver '{name}' does not allow '{grant}'"),
            format!(
                "add '{grant}' to drivers.{name}.allow in the policy, or: hostler driver grant {name} {grant}"
            ),
        )
    } else {
        (
            format!("the policy does not name driver '{name}', and its default does not allow '{grant}'"),
            format!(
                "add drivers.{name} to the policy, with '{grant}' in its allow list, or: hostler driver grant {name} {grant}"
            ),
        )
    };
    Denied { grant: grant.clone(), by: Denier::Policy, reason, remedy }
}

fn denied_by_operator(grant: &Grant, manifest: &Manifest) -> Denied {
    let name = &manifest.name;
    Denied {
        grant: grant.clone(),
        by: Denier::Operator,
        reason: format!("the operator has withdrawn '{grant}' from driver '{name}'"),
        remedy: format!("give it again: hostler driver grant {name} {grant}"),
    }
}

fn denied_by_tenant(grant: &Grant, manifest: &Manifest, tenant: &Tenant) -> Denied {
    let tenant = shown(&tenant.name);
    Denied {
        grant: grant.clone(),
        by: Denier::Tenant,
        reason: format!("tenant '{tenant}' may not use '{grant}' through driver '{}'", manifest.name),
        remedy: format!("add '{grant}' to the allow list of tenant '{tenant}'"),
    }
}

impl Granted {
    /// Whether the driver has the capability for this scope (empty for one that has none).
    #[must_use]
    pub fn allows(&self, capability: Capability, scope: &str) -> bool {
        let same = |grant: &Grant| grant.capability == capability && grant.scope == scope;
        capability.is_basic() || self.granted.iter().any(same)
    }

    /// The same as a result: the error says who denied it, or that it was never asked for.
    ///
    /// # Errors
    /// [`Kind::Denied`].
    pub fn require(&self, capability: Capability, scope: &str) -> Result<(), GrantError> {
        if self.allows(capability, scope) {
            return Ok(());
        }
        let same = |denied: &&Denied| denied.grant.capability == capability && denied.grant.scope == scope;
        Err(match self.denied.iter().find(same) {
            Some(denied) => GrantError::new(Kind::Denied, denied.reason.as_str(), denied.remedy.as_str()),
            None => {
                let wanted = Grant { capability, scope: shown(scope) };
                GrantError::new(
                    Kind::Denied,
                    format!("driver '{}' uses '{wanted}' without asking for it in its manifest", self.driver),
                    "this is for the driver's author: add it to the grants in hostler_sdk::driver!",
                )
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Consent;
    use crate::signature::PrivateKey;

    const QEMU: &str = "process:qemu-system-x86_64";

    fn digest(digit: &str) -> String {
        format!("sha256:{}", digit.repeat(64))
    }

    fn manifest(name: &str, grants: &[&str]) -> Manifest {
        let grants = serde_json::to_string(grants).unwrap();
        let text = format!(
            r#"{{"name":"{name}","version":"1.2.3","contract":"0.1.0","domain-types":["x"],"grants":{grants}}}"#
        );
        Manifest::parse(text.as_bytes()).unwrap()
    }

    fn decide(manifest: &Manifest, policy: &str, tenant: &str) -> Result<Granted, GrantError> {
        let (policy, tenant) = (Policy::parse(policy.as_bytes())?, Tenant::parse(tenant.as_bytes())?);
        grant(manifest, &digest("a"), &Signatures::default(), &policy, &tenant)
    }

    fn decide_built_in(manifest: &Manifest) -> Granted {
        let policy = Policy::built_in().unwrap();
        grant(manifest, &digest("a"), &Signatures::default(), &policy, &Tenant::default()).unwrap()
    }

    #[test]
    fn everything_that_all_three_agree_on_is_granted() {
        let manifest = manifest("qemu", &[QEMU, "qmp", "storage"]);
        let granted = decide_built_in(&manifest);
        assert_eq!(granted.granted, manifest.grants);
        assert!(granted.denied.is_empty());
        assert!(
            granted.allows(Capability::Process, "qemu-system-x86_64") && granted.allows(Capability::Log, "")
        );
        granted.require(Capability::Qmp, "").unwrap();
    }

    #[test]
    fn what_was_not_asked_for_is_not_granted() {
        let granted = decide_built_in(&manifest("qemu", &["qmp"]));
        assert!(!granted.allows(Capability::Storage, ""));
        let error = granted.require(Capability::Process, "qemu-system-x86_64").unwrap_err();
        assert_eq!(error.kind, Kind::Denied);
        assert!(error.to_string().contains("without asking for it"), "{error}");
    }

    #[test]
    fn driver_that_the_tenant_may_not_use_gets_nothing_at_all() {
        let error =
            decide(&manifest("qemu", &["qmp"]), "{}", r#"{"name":"t","drivers":["test"]}"#).unwrap_err();
        assert_eq!(error.kind, Kind::Denied);
    }

    #[test]
    fn one_program_is_not_another() {
        let granted = decide_built_in(&manifest("qemu", &[QEMU]));
        assert!(!granted.allows(Capability::Process, "qemu-system-aarch64"));
        assert!(!granted.allows(Capability::Process, ""));
    }

    #[test]
    fn policy_denies_with_reason_and_remedy() {
        let manifest = manifest("qemu", &[QEMU, "qmp"]);
        let granted =
            decide(&manifest, r#"{"drivers":{"qemu":{"allow":["qmp"]}}}"#, r#"{"name":"t"}"#).unwrap();
        let [denied] = granted.denied.as_slice() else { panic!("{granted:?}") };
        assert_eq!((denied.by, denied.grant.to_string().as_str()), (Denier::Policy, QEMU));
        assert!(denied.remedy.starts_with(&format!("add '{QEMU}' to drivers.qemu.allow in the policy")));
        let error = granted.require(Capability::Process, "qemu-system-x86_64").unwrap_err();
        assert_eq!(
            (error.to_string(), error.hints[0].as_str()),
            (denied.reason.clone(), denied.remedy.as_str())
        );
    }

    #[test]
    fn unnamed_driver_gets_the_default_only() {
        let policy = r#"{"default":{"allow":["storage"]},"drivers":{"qemu":{"allow":["*"]}}}"#;
        let granted = decide(&manifest("other", &["storage", "qmp"]), policy, r#"{"name":"t"}"#).unwrap();
        assert_eq!(granted.granted.len(), 1);
        assert!(granted.denied[0].reason.contains("does not name driver 'other'"));
    }

    #[test]
    fn named_driver_gets_its_entry_instead_of_the_default() {
        let policy = r#"{"default":{"allow":["storage"]},"drivers":{"qemu":{"allow":["qmp"]}}}"#;
        let granted = decide(&manifest("qemu", &["storage", "qmp"]), policy, r#"{"name":"t"}"#).unwrap();
        assert!(granted.allows(Capability::Qmp, "") && !granted.allows(Capability::Storage, ""));
    }

    #[test]
    fn tenant_denies_what_policy_allows() {
        let tenant = r#"{"name":"blue","allow":["storage"]}"#;
        let granted =
            decide(&manifest("q", &["storage", "qmp"]), r#"{"default":{"allow":["*"]}}"#, tenant).unwrap();
        assert_eq!((granted.granted.len(), granted.denied[0].by), (1, Denier::Tenant));
        assert_eq!(granted.denied[0].remedy, "add 'qmp' to the allow list of tenant 'blue'");
    }

    #[test]
    fn policy_is_named_first_when_both_deny() {
        let granted = decide(&manifest("q", &["qmp"]), "{}", r#"{"name":"t","allow":[]}"#).unwrap();
        assert_eq!(granted.denied[0].by, Denier::Policy);
    }

    #[test]
    fn consent_of_the_operator_adds_to_the_policy_and_takes_away_from_it() {
        let manifest = manifest("q", &["qmp", "storage", QEMU]);
        let mut policy = Policy::parse(br#"{"drivers":{"q":{"allow":["storage"]}}}"#).unwrap();
        let parsed = |text: &str| vec![text.parse::<Grant>().unwrap()];
        let consent = Consent { allow: parsed("qmp"), deny: parsed("storage"), pin: Some(digest("a")) };
        policy.consents.insert("q".to_owned(), consent);
        let decided = grant(&manifest, &digest("a"), &Signatures::default(), &policy, &Tenant::default());
        let decided = decided.unwrap();
        assert_eq!(decided.granted, parsed("qmp"));
        let by: Vec<_> = decided.denied.iter().map(|denied| denied.by).collect();
        assert_eq!(by, [Denier::Operator, Denier::Policy]);
        let other = grant(&manifest, &digest("b"), &Signatures::default(), &policy, &Tenant::default());
        assert_eq!(other.unwrap_err().kind, Kind::DigestMismatch);
    }

    #[test]
    fn every_reason_to_refuse_is_given_at_once() {
        let text = format!(
            r#"{{"drivers":{{"q":{{"allow":[],"digest":"{}"}}}},"revoked":["{}"],"signers":{{"a":"{}"}}}}"#,
            digest("b"),
            digest("a"),
            PrivateKey::from_seed(&[1; 32]).public()
        );
        let policy = Policy::parse(text.as_bytes()).unwrap();
        let found = refusals(&manifest("q", &[]), &digest("a"), &Signatures::default(), &policy);
        let kinds: Vec<_> = found.iter().map(|error| error.kind).collect();
        assert_eq!(kinds, [Kind::Revoked, Kind::DigestMismatch, Kind::Unsigned]);
    }

    #[test]
    fn pinned_digest_admits_that_build_only() {
        let pinned =
            |digit| format!(r#"{{"drivers":{{"q":{{"allow":["qmp"],"digest":"{}"}}}}}}"#, digest(digit));
        let manifest = manifest("q", &["qmp"]);
        assert!(decide(&manifest, &pinned("a"), r#"{"name":"t"}"#).unwrap().allows(Capability::Qmp, ""));
        let error = decide(&manifest, &pinned("b"), r#"{"name":"t"}"#).unwrap_err();
        assert_eq!(error.kind, Kind::DigestMismatch);
        assert!(error.to_string().contains(&digest("a")) && error.to_string().contains(&digest("b")));
    }
}
