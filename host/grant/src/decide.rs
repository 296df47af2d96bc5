//! The decision: what manifest, policy and tenant agree on, and who denied the rest.

use std::fmt;

use crate::capability::{Capability, Grant};
use crate::error::{GrantError, Kind, shown};
use crate::manifest::Manifest;
use crate::policy::{Policy, Tenant};

/// Who said no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denier {
    /// The operator's policy.
    Policy,
    /// The tenant's rules.
    Tenant,
}

impl fmt::Display for Denier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Policy => "the operator's policy",
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
    /// What it has, in the order of its manifest, beside what every driver has.
    pub granted: Vec<Grant>,
    /// What it asked for and does not have.
    pub denied: Vec<Denied>,
}

/// Intersects what the driver asks for with what policy and tenant allow.
///
/// `digest` is the component's, `sha256:` and 64 hexadecimal digits. That something is denied is no error:
/// the driver runs without it, and meets [`Granted::require`] when it uses it.
///
/// # Errors
/// [`Kind::DigestMismatch`] when the policy pins another build, [`Kind::Denied`] when the tenant may not use this
/// driver: then it gets nothing at all.
pub fn grant(
    manifest: &Manifest,
    digest: &str,
    policy: &Policy,
    tenant: &Tenant,
) -> Result<Granted, GrantError> {
    tenant.require_driver(&manifest.name)?;
    check_pin(manifest, digest, policy)?;
    let allow = policy.allow_for(&manifest.name);
    let (driver, tenant_name) = (manifest.name.clone(), tenant.name.clone());
    let mut decided = Granted { driver, tenant: tenant_name, granted: Vec::new(), denied: Vec::new() };
    for grant in &manifest.grants {
        if !allow.allows(grant.capability, &grant.scope) {
            decided.denied.push(denied_by_policy(grant, manifest, policy));
        } else if !tenant.allow.allows(grant.capability, &grant.scope) {
            decided.denied.push(denied_by_tenant(grant, manifest, tenant));
        } else {
            decided.granted.push(grant.clone());
        }
    }
    Ok(decided)
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
            format!("add '{grant}' to drivers.{name}.allow in the policy"),
        )
    } else {
        (
            format!("the policy does not name driver '{name}', and its default does not allow '{grant}'"),
            format!("add drivers.{name} to the policy, with '{grant}' in its allow list"),
        )
    };
    Denied { grant: grant.clone(), by: Denier::Policy, reason, remedy }
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
        grant(manifest, &digest("a"), &policy, &tenant)
    }

    #[test]
    fn everything_that_all_three_agree_on_is_granted() {
        let manifest = manifest("qemu", &[QEMU, "qmp", "storage"]);
        let granted =
            grant(&manifest, &digest("a"), &Policy::built_in().unwrap(), &Tenant::default()).unwrap();
        assert_eq!(granted.granted, manifest.grants);
        assert!(granted.denied.is_empty());
        assert!(
            granted.allows(Capability::Process, "qemu-system-x86_64") && granted.allows(Capability::Log, "")
        );
        granted.require(Capability::Qmp, "").unwrap();
    }

    #[test]
    fn what_was_not_asked_for_is_not_granted() {
        let granted =
            grant(&manifest("qemu", &["qmp"]), "", &Policy::built_in().unwrap(), &Tenant::default()).unwrap();
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
        let granted =
            grant(&manifest("qemu", &[QEMU]), "", &Policy::built_in().unwrap(), &Tenant::default()).unwrap();
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
        assert_eq!(denied.remedy, format!("add '{QEMU}' to drivers.qemu.allow in the policy"));
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
