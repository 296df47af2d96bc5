//! Every misbehaving driver has a test of the host that holds against it.

use crate::Violation;
use crate::repository::Crate;
use crate::source::Source;

/// Where test guests lie.
const GUESTS: &str = "tests/guests/";

/// Every test guest that no test names.
#[must_use]
pub fn violations(crates: &[Crate], sources: &[Source]) -> Vec<Violation> {
    let guests = crates.iter().filter(|krate| krate.directory.starts_with(GUESTS));
    let untested = guests.filter(|guest| !sources.iter().any(|source| tests(source, guest)));
    untested
        .map(|guest| {
            format!(
                "{}: no test names {}: a driver that misbehaves shows that the host holds",
                guest.directory, guest.name
            )
        })
        .collect()
}

/// Whether a source outside the guests themselves names the guest in test code.
fn tests(source: &Source, guest: &Crate) -> bool {
    let elsewhere = !source.path.starts_with(GUESTS) && !source.path.starts_with("tests/tidy/");
    let named = |text: &str| text.contains(&guest.name) || text.contains(&guest.name.replace('-', "_"));
    elsewhere && source.test_code().into_iter().any(|range| source.text.get(range).is_some_and(named))
}

#[cfg(test)]
mod tests {
    use super::violations;
    use crate::repository::Crate;
    use crate::source::Source;

    #[test]
    fn a_guest_without_a_test_is_found() {
        let guest = Crate {
            name: "fault-trap".to_owned(),
            directory: "tests/guests/fault_trap".to_owned(),
            dependencies: vec![],
        };
        let test = Source::new("tests/all/src/faults.rs", "load(\"fault-trap\");");
        let own = Source::new("tests/guests/fault_trap/src/lib.rs", "//! fault-trap");
        assert!(violations(std::slice::from_ref(&guest), &[test]).is_empty());
        assert_eq!(violations(&[guest], &[own]).len(), 1);
    }
}
