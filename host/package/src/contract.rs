//! What a component may import and must export, by the contract that this host offers.

use hostler_grant::{CONTRACT_VERSION, Capability, Manifest, check_contract};

use crate::error::{Kind, PackageError, shown};

/// The package that drivers import from.
const HOST_PACKAGE: &str = "hostler:host/";
/// Its interfaces.
const OFFERED: [&str; 10] =
    ["types", "log", "clock", "storage", "firmware", "endpoint", "value", "process", "qmp", "domain"];
/// The package of what drivers export.
const DRIVER_PACKAGE: &str = "hostler:driver/";
/// What every driver exports, without version.
const EXPORTS: [&str; 2] = ["about", "lifecycle"];

/// Everything that is wrong with what a component imports.
pub(crate) fn judge_imports(imports: &[String]) -> Vec<PackageError> {
    imports.iter().filter_map(|name| check_import(name).err()).collect()
}

/// Everything that is missing in what a component exports.
pub(crate) fn judge_exports(exports: &[String]) -> Vec<PackageError> {
    let missing = EXPORTS.iter().filter(|wanted| !has_export(exports, wanted));
    missing
        .map(|wanted| {
            let message = format!(
                "the component does not export {DRIVER_PACKAGE}{wanted}@{CONTRACT_VERSION}, as every driver does"
            );
            PackageError::new(Kind::Contract, message).hint("build it for the world hostler:driver/driver")
        })
        .collect()
}

/// The optional interfaces that a component exports.
pub(crate) fn abilities(exports: &[String]) -> Vec<String> {
    let names = exports.iter().filter_map(|name| name.strip_prefix(DRIVER_PACKAGE));
    let names = names.map(|name| name.split('@').next().unwrap_or(name));
    names.filter(|name| !EXPORTS.contains(name)).map(shown).collect()
}

/// What is odd in a manifest, held against the component it is in, and no reason to refuse it.
pub(crate) fn remarks(manifest: &Manifest, imports: &[String], abilities: &[String]) -> Vec<String> {
    let imported = |capability: Capability| {
        let start = format!("{HOST_PACKAGE}{}@", capability.name());
        imports.iter().any(|name| name.starts_with(&start))
    };
    let asked = |capability| manifest.grants.iter().any(|grant| grant.capability == capability);
    // The other way round says nothing: an interface is imported for its types alone, too.
    let unused =
        |capability: &Capability| !capability.is_basic() && asked(*capability) && !imported(*capability);
    let mut remarks: Vec<_> = Capability::ALL
        .into_iter()
        .filter(unused)
        .map(|capability| {
            format!("it asks for '{capability}' and does not import {HOST_PACKAGE}{capability}: it could ask for less")
        })
        .collect();
    for claimed in manifest.abilities.iter().filter(|claimed| !abilities.contains(claimed)) {
        remarks.push(format!("its manifest names the ability '{claimed}', which it does not export"));
    }
    for silent in abilities.iter().filter(|silent| !manifest.abilities.contains(silent)) {
        remarks.push(format!("it exports the ability '{silent}', which its manifest does not name"));
    }
    remarks
}

fn has_export(exports: &[String], wanted: &str) -> bool {
    exports.iter().any(|name| {
        let version =
            name.strip_prefix(DRIVER_PACKAGE).and_then(|name| name.strip_prefix(wanted)?.strip_prefix('@'));
        version.is_some_and(|version| check_contract(version).is_ok())
    })
}

fn check_import(name: &str) -> Result<(), PackageError> {
    let shown = shown(name);
    let Some(rest) = name.strip_prefix(HOST_PACKAGE) else {
        let message =
            format!("the component imports {shown}, and a driver may import from {HOST_PACKAGE}* only");
        return Err(PackageError::new(Kind::Import, message)
            .hint("build it for wasm32-unknown-unknown, which imports nothing of a system"));
    };
    let (interface, version) = rest.split_once('@').unwrap_or((rest, ""));
    if !OFFERED.contains(&interface) {
        let message = format!("driver needs {shown}, which this host does not offer");
        return Err(PackageError::new(Kind::Contract, message)
            .hint("update hostler, or install an older version of the driver"));
    }
    Ok(check_contract(version)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn imports_come_from_the_hosts_package_only() {
        assert!(check_import("hostler:host/domain@0.1.0").is_ok());
        let kind = |name| check_import(name).unwrap_err().kind;
        assert_eq!(kind("wasi:filesystem/types@0.2.0"), Kind::Import);
        assert_eq!(kind("hostler:hostile/domain@0.1.0"), Kind::Import);
        assert_eq!(kind("hostler:host/secret@0.1.0"), Kind::Contract);
        assert_eq!(kind("hostler:host/domain@0.2.0"), Kind::Grant(hostler_grant::Kind::ContractVersion));
        assert_eq!(kind("hostler:host/domain"), Kind::Grant(hostler_grant::Kind::ManifestInvalid));
    }

    #[test]
    fn every_missing_export_is_named() {
        let exports = names(&["hostler:driver/about@0.1.0", "hostler:driver/lifecycle@9.0.0"]);
        let missing = judge_exports(&exports);
        assert_eq!(missing.len(), 1);
        assert!(missing[0].to_string().contains("hostler:driver/lifecycle"));
        assert_eq!(judge_exports(&[]).len(), 2);
    }

    #[test]
    fn manifest_is_held_against_the_component() {
        let text = br#"{"name":"t","version":"1","contract":"0.1.0","domain-types":["t"],
            "grants":["qmp"],"abilities":["snapshots"]}"#;
        let manifest = Manifest::parse(text).unwrap();
        let exports = names(&["hostler:driver/about@0.1.0", "hostler:driver/native-config@0.1.0"]);
        let found = remarks(&manifest, &names(&["hostler:host/storage@0.1.0"]), &abilities(&exports));
        assert_eq!(found.len(), 3, "{found:?}");
        let found = remarks(&manifest, &names(&["hostler:host/qmp@0.1.0"]), &names(&["snapshots"]));
        assert_eq!(found, Vec::<String>::new());
    }
}
