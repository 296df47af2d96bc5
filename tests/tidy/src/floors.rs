//! The floors of the house: arrows point downwards only.

use crate::Violation;
use crate::repository::Crate;

/// The floors of the host, lowest first. A crate may use those on lower floors.
const FLOORS: &[&[&str]] = &[
    &["sdk/domain"],
    &["sdk/conformance"],
    &["host/state"],
    &["host/image", "host/firmware", "host/grant", "host/rpc"],
    &["host/launch", "host/network", "host/storage", "host/package"],
    &["host/runtime", "host/author"],
    &["host/domains"],
    &["host/serve"],
    &["host/cli"],
];

const WHY: &str = "floors keep the host replaceable piece by piece (ARCHITECTURE.md, floors)";

/// Every arrow that points the wrong way.
#[must_use]
pub fn violations(crates: &[Crate]) -> Vec<Violation> {
    let mut found = Vec::new();
    for user in crates {
        if !is_placed(&user.directory) {
            found.push(format!(
                "{}: this crate is on no floor; place it in tests/tidy: {WHY}",
                user.directory
            ));
        }
        for dependency in &user.dependencies {
            let used = crates.iter().find(|candidate| candidate.name == dependency.name);
            if let Some(reason) = used.and_then(|used| refusal(&user.directory, &used.directory)) {
                found.push(format!("{}: must not use {}: {reason}; {WHY}", user.directory, dependency.name));
            }
        }
    }
    found
}

fn floor(directory: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&directory))
}

fn is_placed(directory: &str) -> bool {
    let part = |name: &str| directory.starts_with(name);
    part("tests/") || part("drivers/") || part("sdk/") || floor(directory).is_some()
}

/// Why one crate must not use the other, whether in production or in its tests.
fn refusal(user: &str, used: &str) -> Option<&'static str> {
    if user.starts_with("tests/") {
        // A misbehaving driver is a driver: nothing but the SDK.
        let guest = user.starts_with("tests/guests/");
        return (guest && !used.starts_with("sdk/")).then_some("a driver sees the SDK only");
    }
    if used.starts_with("tests/") || used.starts_with("drivers/") {
        return Some("nothing is built on tests or on drivers");
    }
    if user.starts_with("drivers/") || user.starts_with("sdk/") {
        return used.starts_with("host/").then_some("authors of drivers never need the host");
    }
    match (floor(user), floor(used)) {
        (Some(above), Some(below)) if below < above => None,
        (Some(_), Some(_)) => Some("it is not on a lower floor"),
        (_, None) => Some("the host shares the domain model with drivers, and what is demanded of them"),
        (None, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::violations;
    use crate::repository::{Crate, Dependency};

    fn krate(directory: &str, uses: &[&str]) -> Crate {
        let dependency = |name: &&str| Dependency { name: (*name).to_owned(), only_for_tests: false };
        Crate {
            name: directory.to_owned(),
            directory: directory.to_owned(),
            dependencies: uses.iter().map(dependency).collect(),
        }
    }

    fn count(user: &str, used: &str) -> usize {
        violations(&[krate(user, &[used]), krate(used, &[])]).len()
    }

    #[test]
    fn arrows_down_are_fine() {
        for (user, used) in [
            ("host/cli", "host/domains"),
            ("host/cli", "host/serve"),
            ("host/serve", "host/rpc"),
            ("host/launch", "host/state"),
            ("host/firmware", "host/state"),
            ("host/image", "sdk/domain"),
            ("host/domains", "sdk/conformance"),
            ("sdk/conformance", "sdk/domain"),
            ("drivers/qemu", "sdk/rust"),
            ("sdk/rust", "sdk/domain"),
            ("tests/all", "host/cli"),
        ] {
            assert_eq!(count(user, used), 0, "{user} -> {used}");
        }
    }

    #[test]
    fn arrows_up_and_sideways_are_found() {
        for (user, used) in [
            ("host/domains", "host/cli"),
            ("host/domains", "host/serve"),
            ("host/image", "host/grant"),
            ("host/state", "host/image"),
            ("drivers/qemu", "host/image"),
            ("sdk/domain", "host/state"),
            ("host/runtime", "sdk/rust"),
            ("sdk/conformance", "host/runtime"),
            ("host/runtime", "drivers/test"),
            ("tests/guests/fault_trap", "host/runtime"),
        ] {
            assert_eq!(count(user, used), 1, "{user} -> {used}");
        }
        assert_eq!(violations(&[krate("host/other", &[])]).len(), 1);
    }
}
