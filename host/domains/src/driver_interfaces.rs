//! What the interfaces of a driver come to on this host: what each needs, and whether that is given.

use hostler_grant::Capability;
use serde::Serialize;

use crate::driver_summary::GrantStanding;

/// The package that drivers import from.
const HOST: &str = "hostler:host/";
/// The package of what drivers export.
const DRIVER: &str = "hostler:driver/";
/// Interfaces of the host that have words and no functions.
const WORDS: [&str; 2] = ["types", "value"];
/// What every driver exports.
const REQUIRED: [&str; 2] = ["about", "lifecycle"];
/// What a driver may export beside that, and this host makes use of.
const OPTIONAL: &[&str] = &[
    "block-jobs",
    "dump",
    "hotplug",
    "native-config",
    "reboot",
    "save",
    "screen",
    "snapshots",
    "migration",
    "sizing",
    "statistics",
    "upkeep",
];

/// An interface of a driver, and what it comes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InterfaceStanding {
    /// Its name, as the component has it.
    pub interface: String,
    /// What it comes to here, in a few words.
    pub standing: String,
}

/// What the imports of a driver come to, with its grants as they stand.
pub(crate) fn imports(names: &[String], grants: &[GrantStanding]) -> Vec<InterfaceStanding> {
    let standing =
        |name: &String| InterfaceStanding { interface: name.clone(), standing: import(name, grants) };
    names.iter().map(standing).collect()
}

/// What its exports come to.
pub(crate) fn exports(names: &[String]) -> Vec<InterfaceStanding> {
    let standing = |name: &String| InterfaceStanding { interface: name.clone(), standing: export(name) };
    names.iter().map(standing).collect()
}

fn import(name: &str, grants: &[GrantStanding]) -> String {
    let Some(interface) = short(name, HOST) else {
        return "refused: a driver imports from hostler:host alone".to_owned();
    };
    let Some(capability) = Capability::ALL.into_iter().find(|known| known.name() == interface) else {
        let words = WORDS.contains(&interface);
        return if words { "words, nothing to grant" } else { "refused: not offered by this host" }
            .to_owned();
    };
    if capability.is_basic() {
        return "every driver has it".to_owned();
    }
    let asked: Vec<_> =
        grants.iter().filter(|standing| is_of(&standing.grant, capability)).map(words).collect();
    if asked.is_empty() {
        return format!("'{capability}' is not asked for: its functions are denied");
    }
    asked.join(", ")
}

fn export(name: &str) -> String {
    match short(name, DRIVER) {
        Some(required) if REQUIRED.contains(&required) => "every driver has it",
        Some(optional) if OPTIONAL.contains(&optional) => "optional: an ability",
        _ => "not known to this host: never called",
    }
    .to_owned()
}

/// The interface's own name: `qmp` of `hostler:host/qmp@0.1.0`.
fn short<'a>(name: &'a str, package: &str) -> Option<&'a str> {
    name.strip_prefix(package)?.split('@').next()
}

fn is_of(grant: &str, capability: Capability) -> bool {
    grant.split(':').next() == Some(capability.name())
}

fn words(standing: &GrantStanding) -> String {
    let given = if standing.given { "given" } else { "not given" };
    format!("'{}' {given} by {}", standing.grant, standing.by)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(grant: &str, given: bool) -> GrantStanding {
        GrantStanding { grant: grant.to_owned(), given, by: "policy".to_owned(), reason: None, remedy: None }
    }

    #[test]
    fn each_import_says_what_it_needs_and_whether_that_is_given() {
        let grants = [standing("storage", true), standing("process:a", true), standing("process:b", false)];
        for (name, expected) in [
            ("hostler:host/types@0.1.0", "words"),
            ("hostler:host/log@0.1.0", "every driver has it"),
            ("hostler:host/storage@0.1.0", "'storage' given by policy"),
            ("hostler:host/process@0.1.0", "'process:a' given by policy, 'process:b' not given by policy"),
            ("hostler:host/qmp@0.1.0", "'qmp' is not asked for"),
            ("hostler:host/gpu@0.1.0", "refused: not offered"),
            ("wasi:cli/environment@0.2.0", "refused: a driver imports"),
        ] {
            let found = imports(&[name.to_owned()], &grants).remove(0).standing;
            assert!(found.starts_with(expected), "{name}: {found}");
        }
    }

    #[test]
    fn each_export_says_whether_it_is_used() {
        for (name, expected) in [
            ("hostler:driver/about@0.1.0", "every driver has it"),
            ("hostler:driver/native-config@0.1.0", "optional"),
            ("hostler:driver/save@0.1.1", "optional"),
            ("hostler:driver/teleport@0.1.0", "not known"),
        ] {
            assert!(exports(&[name.to_owned()]).remove(0).standing.starts_with(expected), "{name}");
        }
    }
}
