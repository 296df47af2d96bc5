//! Every way in which a test guest misbehaves has a test of the host that holds against it.
//!
//! A guest is the crate `guest-NAME` and drives the domain type `NAME`; its list `BEHAVIOURS` names what it does.

use crate::Violation;
use crate::repository::Crate;
use crate::source::Source;

/// Where test guests lie.
const GUESTS: &str = "tests/guests/";
/// The list of a guest's behaviours: pairs of a name and a function.
const LIST: &str = "const BEHAVIOURS";
const WHY: &str = "a driver that misbehaves is there to show that the host holds";

/// Every guest without behaviours, and every behaviour that no test asks for.
#[must_use]
pub fn violations(crates: &[Crate], sources: &[Source]) -> Vec<Violation> {
    let guests = crates.iter().filter(|krate| krate.directory.starts_with(GUESTS));
    guests.flat_map(|guest| check(guest, sources)).collect()
}

fn check(guest: &Crate, sources: &[Source]) -> Vec<Violation> {
    let directory = format!("{}/", guest.directory);
    let own = sources.iter().filter(|source| source.path.starts_with(&directory));
    let behaviours: Vec<&str> = own.flat_map(|source| behaviours(&source.text)).collect();
    if behaviours.is_empty() {
        return vec![format!(
            "{}: has no list BEHAVIOURS, so nothing says what to test: {WHY}",
            guest.directory
        )];
    }
    let domain_type = format!("type='{}'", guest.name.strip_prefix("guest-").unwrap_or(&guest.name));
    let untested =
        behaviours.into_iter().filter(|name| !sources.iter().any(|s| asks_for(s, &domain_type, name)));
    untested
        .map(|name| format!("{}: no test asks for its behaviour {name:?}: {WHY}", guest.directory))
        .collect()
}

/// The names in the list, in order.
fn behaviours(text: &str) -> Vec<&str> {
    let list = text.split_once(LIST).and_then(|(_, rest)| rest.split_once("= &["));
    let list = list.and_then(|(_, rest)| rest.split_once("];")).map_or("", |(list, _)| list);
    list.split("(\"").skip(1).filter_map(|entry| entry.split('"').next()).collect()
}

/// Whether test code outside the guests makes a domain of the type and names the behaviour.
fn asks_for(source: &Source, domain_type: &str, behaviour: &str) -> bool {
    let elsewhere = !source.path.starts_with(GUESTS) && !source.path.starts_with("tests/tidy/");
    let named = |text: &str| text.contains(domain_type) && text.contains(&format!("\"{behaviour}\""));
    elsewhere && source.test_code().into_iter().any(|range| source.text.get(range).is_some_and(named))
}

#[cfg(test)]
mod tests {
    use super::violations;
    use crate::repository::Crate;
    use crate::source::Source;

    const GUEST: &str =
        "pub const BEHAVIOURS: &[(&str, fn())] = &[\n    (\"trap\", trap),\n    (\"loop\", spin),\n];";

    fn found(guest: &str, test: &str) -> Vec<String> {
        let krate = Crate {
            name: "guest-fault".to_owned(),
            directory: "tests/guests/fault".to_owned(),
            dependencies: vec![],
        };
        let guest = Source::new("tests/guests/fault/src/lib.rs", guest);
        violations(&[krate], &[guest, Source::new("tests/all/tests/all/faults.rs", test)])
    }

    #[test]
    fn a_behaviour_without_a_test_is_found() {
        let all = "\"<domain type='fault'>\"; start(\"trap\"); start(\"loop\");";
        assert_eq!(found(GUEST, all), Vec::<String>::new());
        let half = found(GUEST, "\"<domain type='fault'>\"; start(\"trap\");");
        assert!(half.len() == 1 && half[0].contains("\"loop\""), "{half:?}");
    }

    #[test]
    fn a_guest_that_says_nothing_of_itself_is_found() {
        assert_eq!(found("//! quiet", "\"<domain type='fault'>\"").len(), 1);
    }
}
