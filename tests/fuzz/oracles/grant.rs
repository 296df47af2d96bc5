//! Manifests, policies and tenants: what is parsed is valid, and what is granted was allowed by all.

use std::collections::HashSet;

use hostler_grant::{
    Capability, Grant, GrantError, Granted, LIST_MAX_ENTRIES, Manifest, NAME_MAX_BYTES, Policy,
    SCOPE_MAX_BYTES, Signatures, Tenant, grant,
};

use super::shown;

/// Separates manifest, policy and tenant in one input; no JSON has it.
const SEPARATOR: u8 = 0;
/// A digest of the right form, which the policies of cases may or may not pin.
const DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
const MANIFEST: &[u8] = br#"{"name":"qemu","version":"1","contract":"0.1.0","domain-types":["kvm"],
    "grants":["process:qemu-system-x86_64","process:sh","qmp","storage"]}"#;

/// Asserts what holds of any three texts; what is not given or not valid is replaced by one that is.
///
/// # Panics
/// When a promise is broken.
pub fn check(bytes: &[u8]) {
    let mut parts = bytes.splitn(3, |byte| *byte == SEPARATOR);
    let manifest = parsed(Manifest::parse(parts.next().unwrap_or_default()));
    let policy = parsed(Policy::parse(parts.next().unwrap_or_default()));
    let tenant = parsed(Tenant::parse(parts.next().unwrap_or_default()));
    manifest.iter().for_each(valid);
    let manifest = manifest.unwrap_or_else(|| Manifest::parse(MANIFEST).expect("it is valid"));
    let policy = policy.unwrap_or_else(|| Policy::built_in().expect("it ships"));
    decide(&manifest, &policy, &tenant.unwrap_or_default());
}

fn parsed<T>(result: Result<T, GrantError>) -> Option<T> {
    result.inspect_err(shown::safe).ok()
}

/// Everything in a manifest is short, plain and there once.
fn valid(manifest: &Manifest) {
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".+-".contains(&byte));
    let words = || manifest.domain_types.iter().chain(&manifest.uri_schemes).chain(&manifest.abilities);
    for word in words().chain([&manifest.name, &manifest.version]) {
        assert!((1..=NAME_MAX_BYTES).contains(&word.len()) && plain(word), "{word:?}");
    }
    assert!(!manifest.domain_types.is_empty());
    for list in [&manifest.domain_types, &manifest.uri_schemes, &manifest.abilities] {
        assert!(list.len() <= LIST_MAX_ENTRIES && list.iter().collect::<HashSet<_>>().len() == list.len());
    }
    assert!(manifest.grants.len() <= LIST_MAX_ENTRIES);
    for grant in &manifest.grants {
        assert_eq!(grant.to_string().parse::<Grant>().as_ref(), Ok(grant), "a grant reads back as another");
        assert_eq!(grant.capability.has_scope(), !grant.scope.is_empty());
        assert!(grant.scope.len() <= SCOPE_MAX_BYTES && !grant.scope.contains('*'));
    }
}

/// The decision is the intersection, and nothing is lost on the way.
fn decide(manifest: &Manifest, policy: &Policy, tenant: &Tenant) {
    let pinned = policy.drivers.get(&manifest.name).and_then(|driver| driver.digest.as_deref());
    let decided = grant(manifest, DIGEST, &Signatures::default(), policy, tenant);
    let refused = pinned.is_some_and(|pinned| pinned != DIGEST)
        || policy.revoked.contains(DIGEST)
        || !policy.signers.is_empty();
    assert_eq!(decided.is_err(), refused, "a pin, a revocation or a missing signature is not heeded");
    let Ok(Granted { granted, denied, .. }) = parsed(decided).ok_or(()) else { return };
    let allow = policy.drivers.get(&manifest.name).map_or(&policy.default.allow, |driver| &driver.allow);
    let allowed = |asked: &Grant| {
        allow.allows(asked.capability, &asked.scope) && tenant.allow.allows(asked.capability, &asked.scope)
    };
    let wanted: Vec<&Grant> = manifest.grants.iter().filter(|asked| allowed(asked)).collect();
    assert_eq!(granted.iter().collect::<Vec<_>>(), wanted);
    assert_eq!(granted.len() + denied.len(), manifest.grants.len(), "a grant is neither given nor denied");
    for refusal in &denied {
        assert!(!refusal.grant.capability.is_basic() || manifest.grants.contains(&refusal.grant));
        shown::safe(&refusal.reason);
        shown::safe(&refusal.remedy);
    }
    // No list of named scopes, only a star, allows a program with a name that no entry can spell.
    let unspelt = allow.allows(Capability::Process, "no such\u{0}name");
    assert!(!unspelt || allow.allows(Capability::Process, ""), "a scope outside every list is allowed");
}
