//! What a refusal by manifest or policy is when a driver is loaded, and which abilities a component has.

use hostler_grant::{GrantError, Kind as GrantErrorKind, check_contract};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::error::{RuntimeError, RuntimeErrorKind};

/// The package of what drivers export.
const DRIVER: &str = "hostler:driver/";

/// The error for a driver made for another contract, or refused by the policy.
pub(crate) fn refused(error: GrantError) -> RuntimeError {
    let refused = RuntimeError::new(kind_of(error.kind), error.to_string());
    error.hints.iter().fold(refused, |refused, hint| refused.hint(hint))
}

/// The kind of it.
pub(crate) fn kind_of(kind: GrantErrorKind) -> RuntimeErrorKind {
    match kind {
        GrantErrorKind::ContractVersion => RuntimeErrorKind::Contract,
        GrantErrorKind::DigestMismatch
        | GrantErrorKind::Denied
        | GrantErrorKind::Unsigned
        | GrantErrorKind::SignatureInvalid
        | GrantErrorKind::Revoked => RuntimeErrorKind::Denied,
        _ => RuntimeErrorKind::Load,
    }
}

/// Whether the component has this optional interface, in a version that this host knows.
pub(crate) fn has_ability(engine: &Engine, component: &Component, interface: &str) -> bool {
    component.component_type().exports(engine).any(|(name, _)| {
        let name = name.strip_prefix(DRIVER).and_then(|name| name.strip_prefix(interface));
        let version = name.and_then(|rest| rest.strip_prefix('@'));
        version.is_some_and(|version| check_contract(version).is_ok())
    })
}
