//! What a component may import and must export, as the engine sees it once it is compiled.
//!
//! [`hostler_package`] has judged the same before: this is what holds should the two read a component otherwise.

use hostler_grant::{CONTRACT_VERSION, GrantError, Kind as GrantErrorKind, check_contract};
use hostler_package::ITEMS_MAX;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::error::{RuntimeError, RuntimeErrorKind};
use crate::text;

/// The package that drivers import from.
const HOST_PACKAGE: &str = "hostler:host/";
/// Its interfaces.
const OFFERED: [&str; 10] =
    ["types", "log", "clock", "storage", "firmware", "endpoint", "value", "process", "qmp", "domain"];
/// What every driver exports, without version.
const EXPORTS: [&str; 2] = ["hostler:driver/about", "hostler:driver/lifecycle"];
/// The optional interface that shows a launch.
const NATIVE_CONFIG: &str = "hostler:driver/native-config";

/// The error for a driver made for another contract, or refused by the policy.
pub(crate) fn refused(error: GrantError) -> RuntimeError {
    let refused = RuntimeError::new(kind_of(error.kind), error.to_string());
    error.hints.iter().fold(refused, |refused, hint| refused.hint(hint))
}

/// What a refusal by manifest or policy is when a driver is loaded.
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

/// Refuses a component that imports what no host offers, or does not export what every driver does.
///
/// # Errors
/// [`RuntimeErrorKind::Denied`] for an import from elsewhere, [`RuntimeErrorKind::Contract`] otherwise.
pub(crate) fn check_items(engine: &Engine, component: &Component) -> Result<(), RuntimeError> {
    let shape = component.component_type();
    if shape.imports(engine).len() + shape.exports(engine).len() > ITEMS_MAX {
        let message = format!("the component has more than {} imports and exports", ITEMS_MAX);
        return Err(RuntimeError::new(RuntimeErrorKind::Load, message));
    }
    for (name, _) in shape.imports(engine) {
        check_import(name)?;
    }
    for wanted in EXPORTS {
        if !exports(engine, component, wanted) {
            let message =
                format!("the component does not export {wanted}@{CONTRACT_VERSION}, as every driver does");
            return Err(RuntimeError::new(RuntimeErrorKind::Contract, message)
                .hint("build it for the world hostler:driver/driver"));
        }
    }
    Ok(())
}

/// Whether the component can show a launch without launching.
pub(crate) fn has_native_config(engine: &Engine, component: &Component) -> bool {
    exports(engine, component, NATIVE_CONFIG)
}

fn exports(engine: &Engine, component: &Component, wanted: &str) -> bool {
    component.component_type().exports(engine).any(|(name, _)| {
        let version = name.strip_prefix(wanted).and_then(|rest| rest.strip_prefix('@'));
        version.is_some_and(|version| check_contract(version).is_ok())
    })
}

fn check_import(name: &str) -> Result<(), RuntimeError> {
    let shown = text::escape(name, 200);
    let Some(rest) = name.strip_prefix(HOST_PACKAGE) else {
        let message =
            format!("the component imports {shown}, and a driver may import from {HOST_PACKAGE}* only");
        return Err(RuntimeError::new(RuntimeErrorKind::Denied, message)
            .hint("build it for wasm32-unknown-unknown, which imports nothing of a system"));
    };
    let (interface, version) = rest.split_once('@').unwrap_or((rest, ""));
    if !OFFERED.contains(&interface) {
        let message = format!("driver needs {shown}, which this host does not offer");
        return Err(RuntimeError::new(RuntimeErrorKind::Contract, message)
            .hint("update hostler, or install an older version of the driver"));
    }
    check_contract(version).map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_come_from_the_hosts_package_only() {
        assert!(check_import("hostler:host/domain@0.1.0").is_ok());
        let kind = |name| check_import(name).unwrap_err().kind;
        assert_eq!(kind("wasi:filesystem/types@0.2.0"), RuntimeErrorKind::Denied);
        assert_eq!(kind("hostler:hostile/domain@0.1.0"), RuntimeErrorKind::Denied);
        assert_eq!(kind("hostler:host/secret@0.1.0"), RuntimeErrorKind::Contract);
        assert_eq!(kind("hostler:host/domain@0.2.0"), RuntimeErrorKind::Contract);
        assert_eq!(kind("hostler:host/domain"), RuntimeErrorKind::Load);
    }
}
