//! The cases, a group in each file.

mod about;
mod check;
mod component;
mod events;
mod identity;
mod input;
mod life;
mod limits;
mod native;
mod parallel;
mod recovery;
mod statistics;
mod wrong_state;

use crate::case::Case;

/// Every case, in the order in which they are run: what the others need comes first.
pub fn cases() -> impl Iterator<Item = &'static Case> {
    let groups: [&[Case]; 13] = [
        component::CASES,
        about::CASES,
        check::CASES,
        identity::CASES,
        input::CASES,
        life::CASES,
        wrong_state::CASES,
        events::CASES,
        recovery::CASES,
        limits::CASES,
        native::CASES,
        statistics::CASES,
        parallel::CASES,
    ];
    groups.into_iter().flatten()
}

/// The cases with these names, or of the groups with these; all of them when none is named.
///
/// # Errors
/// The first name that no case and no group has.
pub fn chosen(names: &[String]) -> Result<Vec<&'static Case>, String> {
    let is_called = |case: &Case, name: &str| {
        case.name == name || case.name.split_once('.').is_some_and(|(group, _)| group == name)
    };
    if let Some(unknown) = names.iter().find(|name| !cases().any(|case| is_called(case, name))) {
        return Err(unknown.clone());
    }
    Ok(cases().filter(|case| names.is_empty() || names.iter().any(|name| is_called(case, name))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_sentences_are_there() {
        let mut names: Vec<_> = cases().map(|case| case.name).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        for case in cases() {
            assert!(case.name.split_once('.').is_some(), "{}", case.name);
            assert!(!case.demands.is_empty() && !case.why.is_empty(), "{}", case.name);
        }
    }

    #[test]
    fn cases_are_chosen_by_name_and_by_group() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(chosen(&[]).unwrap().len(), cases().count());
        let two = chosen(&words(&["check.idempotent", "about"])).unwrap();
        assert_eq!(two.iter().map(|case| case.name).collect::<Vec<_>>(), ["about.pure", "check.idempotent"]);
        assert_eq!(chosen(&words(&["chck"])).unwrap_err(), "chck");
    }
}
