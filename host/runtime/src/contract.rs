//! What a refusal by manifest or policy is when a driver is loaded, and which abilities a component has.

use hostler_grant::{GrantError, Kind as GrantErrorKind, check_contract};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::error::{RuntimeError, RuntimeErrorKind};

/// The optional interface that shows a launch.
const NATIVE_CONFIG: &str = "hostler:driver/native-config";

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

/// Whether the component can show a launch without launching.
pub(crate) fn has_native_config(engine: &Engine, component: &Component) -> bool {
    component.component_type().exports(engine).any(|(name, _)| {
        let version = name.strip_prefix(NATIVE_CONFIG).and_then(|rest| rest.strip_prefix('@'));
        version.is_some_and(|version| check_contract(version).is_ok())
    })
}
