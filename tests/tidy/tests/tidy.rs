//! Every rule, on this repository.

use hostler_tidy::repository::{crates, paths, root, sources};
use hostler_tidy::{
    Violation, architecture, contract, dependencies, floors, frozen, guests, markers, names, since, sizes,
    test_habits, unsafety,
};
use std::fs;

/// Fails with all violations, one a line.
#[track_caller]
fn none(violations: Vec<Violation>) {
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

#[test]
fn arrows_point_downwards() {
    none(floors::violations(&crates(&root()).unwrap()));
}

#[test]
fn big_dependencies_have_one_home() {
    none(dependencies::violations(&crates(&root()).unwrap()));
}

#[test]
fn files_and_functions_are_small() {
    none(sizes::violations(&sources(&root()).unwrap()));
}

#[test]
fn names_say_something() {
    none(names::banned(&paths(&root()).unwrap()));
}

#[test]
fn files_begin_with_their_description() {
    none(names::undescribed(&sources(&root()).unwrap()));
}

#[test]
fn unsafe_code_is_listed() {
    none(unsafety::violations(&sources(&root()).unwrap()));
}

#[test]
fn nothing_is_left_undone() {
    none(markers::violations(&sources(&root()).unwrap()));
}

#[test]
fn tests_run_and_do_not_sleep() {
    none(test_habits::violations(&sources(&root()).unwrap()));
}

#[test]
fn misbehaving_drivers_are_tested() {
    none(guests::violations(&crates(&root()).unwrap(), &sources(&root()).unwrap()));
}

#[test]
fn the_map_shows_every_crate() {
    let map = root().join("ARCHITECTURE.md");
    let map = fs::read_to_string(&map).unwrap_or_else(|error| panic!("{}: {error}", map.display()));
    none(architecture::violations(&crates(&root()).unwrap(), &map));
}

#[test]
fn the_contract_is_described() {
    none(contract::violations(&root().join("wit")).unwrap());
}

#[test]
fn released_contracts_do_not_change() {
    none(frozen::violations(&root().join("wit/since")).unwrap());
    none(frozen::violations(&root().join("tests/guests/frozen")).unwrap());
}

#[test]
fn what_was_built_against_a_release_still_links() {
    none(since::violations(&root().join("wit")).unwrap());
}
