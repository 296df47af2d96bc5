//! `unsafe` only where it cannot be avoided, each place with its reason.

use crate::Violation;
use crate::source::{Source, word_positions};

/// Where unsafe code is, and why no safe interface does the same.
const ALLOWED: &[(&str, &str)] = &[
    (
        "host/launch/src/cage/mapped.rs",
        "no crate has a safe call for mount_setattr, which maps the owners of a mount",
    ),
    (
        "host/launch/src/shim/inherited.rs",
        "descriptors that a shell left open belong to no value, so no safe call closes them",
    ),
    (
        "host/network/src/tap.rs",
        "no crate has a safe call for TUNSETIFF that leaves the descriptor to its caller",
    ),
    (
        "host/runtime/src/cache.rs",
        "the engine cannot check machine code it is given; only what this host compiled is",
    ),
    ("sdk/rust/src/manifest.rs", "placing data in a section of the component is an unsafe attribute"),
];

/// Every use of `unsafe` outside the list, and every place in the list that needs it no more.
#[must_use]
pub fn violations(sources: &[Source]) -> Vec<Violation> {
    check(sources, ALLOWED)
}

fn check(sources: &[Source], allowed: &[(&str, &str)]) -> Vec<Violation> {
    let mut found = Vec::new();
    for source in sources {
        let uses = word_positions(&source.code, "unsafe");
        let listed = allowed.iter().any(|(path, _)| *path == source.path);
        match uses.first() {
            Some(at) if !listed => found.push(format!(
                "{}:{}: unsafe outside the list in tests/tidy/src/unsafety.rs: \
                 the host's safety is argued from that list, so each place is named there with its reason",
                source.path,
                source.line_of(*at)
            )),
            None if listed => {
                found.push(format!("{}: has no unsafe any more; take it off the list", source.path))
            }
            _ => {}
        }
    }
    let absent = allowed.iter().filter(|(path, _)| sources.iter().all(|source| source.path != *path));
    found.extend(absent.map(|(path, _)| format!("{path}: is on the list of unsafe code and does not exist")));
    found
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::source::Source;

    #[test]
    fn unsafe_outside_the_list_and_stale_entries_are_found() {
        let sources = [
            Source::new("a.rs", "unsafe { x() }"),
            Source::new("b.rs", "#![deny(unsafe_code)] // unsafe"),
            Source::new("c.rs", "unsafe fn y() {}"),
        ];
        assert_eq!(check(&sources, &[("a.rs", "why")]).len(), 1);
        assert_eq!(check(&sources, &[("a.rs", "why"), ("c.rs", "why")]).len(), 0);
        assert_eq!(check(&sources, &[("a.rs", ""), ("b.rs", ""), ("c.rs", ""), ("d.rs", "")]).len(), 2);
    }
}
