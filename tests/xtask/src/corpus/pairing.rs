//! Which option of one command line answers which of the other, and how alike the two are.

use super::option::{CliOption, Form};
use super::similarity::{fraction, ratio};
use std::collections::{BTreeMap, BTreeSet};

/// Options less alike than this are no pair.
const MINIMUM: f64 = 0.15;
/// Never reached by options that are not exact.
const ALMOST: f64 = 0.999;
/// A flag against an option with a value.
const FLAG_AGAINST_VALUE: f64 = 0.3;
/// Weight of plain text, and of a value in another form.
const OTHER_FORM: f64 = 0.9;
/// The most that an option making another kind of thing can be worth.
const OTHER_KIND: f64 = 0.5;

/// The pairs found: index of the expected option to index of the actual one and their likeness.
pub(crate) struct Pairs {
    pub(crate) by_expected: BTreeMap<usize, (usize, f64)>,
    used: BTreeSet<usize>,
}

impl Pairs {
    /// Whether the actual option at this index has a partner.
    pub(crate) fn uses(&self, actual: usize) -> bool {
        self.used.contains(&actual)
    }

    fn add(&mut self, expected: usize, actual: usize, likeness: f64) {
        self.by_expected.insert(expected, (actual, likeness));
        self.used.insert(actual);
    }
}

/// Pairs options of the same name: the exact ones, then those with the same id, then the most alike.
pub(crate) fn pair(expected: &[CliOption], actual: &[CliOption]) -> Pairs {
    let mut pairs = Pairs { by_expected: BTreeMap::new(), used: BTreeSet::new() };
    pair_by(&mut pairs, expected, actual, CliOption::is_exactly);
    pair_by(&mut pairs, expected, actual, |e, a| e.id().is_some_and(|id| a.id() == Some(id)));
    pair_by_likeness(&mut pairs, expected, actual);
    pairs
}

fn pair_by(
    pairs: &mut Pairs,
    expected: &[CliOption],
    actual: &[CliOption],
    fits: fn(&CliOption, &CliOption) -> bool,
) {
    for e in expected {
        if pairs.by_expected.contains_key(&e.position) {
            continue;
        }
        let partner = actual.iter().find(|a| a.name == e.name && !pairs.uses(a.position) && fits(e, a));
        if let Some(a) = partner {
            pairs.add(e.position, a.position, likeness(e, a));
        }
    }
}

fn pair_by_likeness(pairs: &mut Pairs, expected: &[CliOption], actual: &[CliOption]) {
    let mut candidates = Vec::new();
    for e in expected.iter().filter(|e| !pairs.by_expected.contains_key(&e.position)) {
        for a in actual.iter().filter(|a| a.name == e.name && !pairs.uses(a.position)) {
            candidates.push((likeness(e, a), e.position, a.position));
        }
    }
    candidates.sort_by(|x, y| {
        let near = x.1.abs_diff(x.2).cmp(&y.1.abs_diff(y.2));
        y.0.total_cmp(&x.0).then(near).then(x.1.cmp(&y.1)).then(x.2.cmp(&y.2))
    });
    for (likeness, e, a) in candidates {
        if likeness >= MINIMUM && !pairs.by_expected.contains_key(&e) && !pairs.uses(a) {
            pairs.add(e, a, likeness);
        }
    }
}

/// How alike two options of the same name are; 1 only when they are exact.
pub(crate) fn likeness(expected: &CliOption, actual: &CliOption) -> f64 {
    if expected.is_exactly(actual) {
        return 1.0;
    }
    let (Some(left), Some(right)) = (&expected.leaves, &actual.leaves) else {
        return text_likeness(expected, actual);
    };
    let keys: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    let sum: f64 = keys.iter().map(|key| leaf_likeness(left.get(*key), right.get(*key))).sum();
    let mut result = if keys.is_empty() { 1.0 } else { sum * fraction(1, keys.len()) };
    if main_key(&expected.name).is_some_and(|key| left.get(key) != right.get(key)) {
        result = result.min(OTHER_KIND);
    }
    if expected.form != actual.form {
        result *= OTHER_FORM;
    }
    result.min(ALMOST)
}

fn leaf_likeness(left: Option<&String>, right: Option<&String>) -> f64 {
    match (left, right) {
        (Some(left), Some(right)) if left == right => 1.0,
        (Some(left), Some(right)) => 0.5 * ratio(left, right),
        _ => 0.0,
    }
}

fn text_likeness(expected: &CliOption, actual: &CliOption) -> f64 {
    if expected.form == Form::Flag || actual.form == Form::Flag {
        return FLAG_AGAINST_VALUE;
    }
    let text = |option: &CliOption| option.raw.clone().unwrap_or_default();
    OTHER_FORM * ratio(&text(expected), &text(actual))
}

/// The key that says what kind of thing an option makes.
fn main_key(option: &str) -> Option<&'static str> {
    Some(match option {
        "-device" | "-blockdev" | "-audiodev" => "driver",
        "-object" => "qom-type",
        "-chardev" => "backend",
        "-netdev" | "-machine" | "-tpmdev" | "-numa" | "-display" => "type",
        "-accel" => "accel",
        "-cpu" => "model",
        "-fsdev" => "fsdriver",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{ALMOST, likeness, pair};
    use crate::corpus::form::Form;
    use crate::corpus::option::CliOption;
    use crate::corpus::tokens::Token;

    fn devices(values: &[&str]) -> Vec<CliOption> {
        let token = |value: &&str| Token { option: "-device".to_owned(), value: Some((*value).to_owned()) };
        values
            .iter()
            .enumerate()
            .map(|(at, value)| CliOption::new(token(value), at, &Form::default()))
            .collect()
    }

    fn partners(expected: &[&str], actual: &[&str]) -> Vec<Option<usize>> {
        let (expected, actual) = (devices(expected), devices(actual));
        let pairs = pair(&expected, &actual);
        (0..expected.len()).map(|at| pairs.by_expected.get(&at).map(|found| found.0)).collect()
    }

    #[test]
    fn exact_before_id_before_likeness() {
        assert_eq!(partners(&["a,id=x,p=1", "a,id=y"], &["a,id=y", "a,id=x,p=2"]), [Some(1), Some(0)]);
        assert_eq!(partners(&["a,p=1", "b,p=1"], &["b,p=2", "a,p=2"]), [Some(1), Some(0)]);
    }

    #[test]
    fn a_duplicate_has_one_partner_only() {
        assert_eq!(partners(&["a,id=x", "a,id=x"], &["a,id=x"]), [Some(0), None]);
    }

    #[test]
    fn another_kind_is_at_most_half() {
        let options = devices(&["a,p=1,q=2,r=3", "b,p=1,q=2,r=3"]);
        assert!(likeness(&options[0], &options[1]) <= 0.5);
    }

    #[test]
    fn another_json_type_is_never_exact() {
        let options = devices(&[r#"{"driver":"a","x":1}"#, r#"{"driver":"a","x":"1"}"#]);
        assert!((likeness(&options[0], &options[1]) - ALMOST).abs() < 1e-9);
    }
}
