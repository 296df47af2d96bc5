//! Big dependencies stay behind one crate each, so that one crate changes when they do.

use crate::Violation;
use crate::repository::Crate;

/// A dependency (with all packages whose name begins so), the crates that may name it, and why only those.
const HOMES: &[(&str, &[&str], &str)] = &[
    (
        "wasmtime",
        &["host/runtime", "tests/bench"],
        "the sandbox is one crate: everything else must not know which engine runs a driver",
    ),
    ("quick-xml", &["sdk/domain"], "documents are read in one place, for host and drivers alike"),
    ("clap", &["host/cli"], "the library under the command line is the one a daemon uses"),
];

/// Every crate that names what is not its own.
#[must_use]
pub fn violations(crates: &[Crate]) -> Vec<Violation> {
    let mut found = Vec::new();
    for (package, homes, why) in HOMES {
        for user in crates.iter().filter(|user| !homes.contains(&user.directory.as_str())) {
            for dependency in user.dependencies.iter().filter(|used| used.name.starts_with(package)) {
                found.push(format!("{}: must not name {}: {why}", user.directory, dependency.name));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::violations;
    use crate::repository::{Crate, Dependency};

    #[test]
    fn only_the_home_may_name_it() {
        let krate = |directory: &str, used: &str| Crate {
            name: directory.to_owned(),
            directory: directory.to_owned(),
            dependencies: vec![Dependency { name: used.to_owned(), only_for_tests: true }],
        };
        assert!(
            violations(&[krate("host/runtime", "wasmtime"), krate("host/cli", "clap_complete")]).is_empty()
        );
        assert_eq!(violations(&[krate("host/api", "clap"), krate("tests/all", "quick-xml")]).len(), 2);
    }
}
