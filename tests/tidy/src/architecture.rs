//! The map shows every room.

use crate::Violation;
use crate::repository::Crate;

/// Every crate of the product that `ARCHITECTURE.md` does not name.
#[must_use]
pub fn violations(crates: &[Crate], map: &str) -> Vec<Violation> {
    let product =
        |krate: &&Crate| ["host/", "sdk/", "drivers/"].iter().any(|part| krate.directory.starts_with(part));
    let absent = crates.iter().filter(product).filter(|krate| !map.contains(&krate.directory));
    absent
        .map(|krate| {
            format!("ARCHITECTURE.md: does not name {}: a reader looks there first", krate.directory)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::violations;
    use crate::repository::Crate;

    #[test]
    fn a_crate_that_the_map_lacks_is_found() {
        let krate = |directory: &str| Crate {
            name: "x".to_owned(),
            directory: directory.to_owned(),
            dependencies: vec![],
        };
        let crates = [krate("host/image"), krate("host/state"), krate("tests/all")];
        assert_eq!(violations(&crates, "`host/image` reads headers").len(), 1);
    }
}
