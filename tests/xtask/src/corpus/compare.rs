//! The verdict on one command line against the expected one.

use super::form::Form;
use super::option::CliOption;
use super::pairing::{Pairs, pair};
use super::similarity::fraction;
use super::tokens::{read_command_line, split};
use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet};

/// The outcome of one comparison.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// Every option exact, none missing or extra, and the order within each option name holds.
    pub(crate) exact: bool,
    /// Likeness summed over all options and divided by the longer side, 0 to 1.
    pub(crate) score: f64,
    /// One line for each thing that differs.
    pub(crate) differences: Vec<String>,
}

/// Compares two command lines given as JSON text.
pub(crate) fn compare_texts(expected: &str, actual: &str, form: &Form) -> Result<Verdict> {
    let parse = |text: &str| Ok::<_, anyhow::Error>(options(&read_command_line(text)?, form));
    Ok(compare(&parse(expected).context("expected")?, &parse(actual).context("actual")?))
}

fn options(words: &[String], form: &Form) -> Vec<CliOption> {
    let tokens =
        split(words).into_iter().filter(|token| form.compares(&token.option, token.value.as_deref()));
    tokens.enumerate().map(|(at, token)| CliOption::new(token, at, form)).collect()
}

fn compare(expected: &[CliOption], actual: &[CliOption]) -> Verdict {
    let pairs = pair(expected, actual);
    let mut differences = Vec::new();
    let mut sum = 0.0;
    for e in expected {
        let partner = pairs.by_expected.get(&e.position);
        match partner.and_then(|(at, likeness)| Some((actual.get(*at)?, likeness))) {
            Some((a, likeness)) => {
                sum += likeness;
                if !e.is_exactly(a) {
                    differences.push(describe_change(e, a));
                }
            }
            None => differences.push(format!("missing  {}", describe(e))),
        }
    }
    let extra = actual.iter().filter(|a| !pairs.uses(a.position));
    differences.extend(extra.map(|a| format!("extra    {}", describe(a))));
    differences
        .extend(groups_out_of_order(expected, &pairs).into_iter().map(|name| format!("order    {name}")));
    let whole = expected.len().max(actual.len());
    let score = if whole == 0 { 0.0 } else { sum * fraction(1, whole) };
    Verdict { exact: differences.is_empty(), score, differences }
}

fn describe(option: &CliOption) -> String {
    format!("{} {}", option.name, option.raw.as_deref().unwrap_or_default())
}

fn describe_change(expected: &CliOption, actual: &CliOption) -> String {
    let head = format!("differs  {} {}", expected.name, expected.id().unwrap_or_default());
    let (Some(left), Some(right)) = (&expected.leaves, &actual.leaves) else {
        let text = |option: &CliOption| option.raw.clone().unwrap_or_default();
        return format!("{head}: expected {:?}, got {:?}", text(expected), text(actual));
    };
    let keys: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    let parts: Vec<String> = keys
        .into_iter()
        .filter_map(|key| match (left.get(key), right.get(key)) {
            (Some(l), Some(r)) if l == r => None,
            (Some(l), Some(r)) => Some(format!("{key}={l:?} got {r:?}")),
            (Some(l), None) => Some(format!("{key}={l:?} missing")),
            (None, Some(r)) => Some(format!("{key}={r:?} extra")),
            (None, None) => None,
        })
        .collect();
    if parts.is_empty() {
        let text = |option: &CliOption| option.raw.clone().unwrap_or_default();
        return format!("{head}: same text, other types or form: {} got {}", text(expected), text(actual));
    }
    format!("{head}: {}", parts.join("; "))
}

/// Option names whose options come in another order: QEMU makes the objects of one name in the order given.
fn groups_out_of_order(expected: &[CliOption], pairs: &Pairs) -> Vec<String> {
    let mut last: BTreeMap<&str, usize> = BTreeMap::new();
    let mut bad = BTreeSet::new();
    for e in expected {
        if let Some((at, _)) = pairs.by_expected.get(&e.position)
            && last.insert(&e.name, *at).is_some_and(|before| before >= *at)
        {
            bad.insert(e.name.clone());
        }
    }
    bad.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::super::cases::default_corpus;
    use super::{Form, Verdict};
    use std::fs;

    fn compare_texts(expected: &str, actual: &str) -> anyhow::Result<Verdict> {
        super::compare_texts(expected, actual, &Form::default())
    }

    #[test]
    fn order_matters_within_a_name_only() {
        let base = r#"["-uuid","u","-device","a","-device","b"]"#;
        let moved = compare_texts(base, r#"["-device","a","-device","b","-uuid","u"]"#).unwrap();
        assert!(moved.exact);
        let swapped = compare_texts(base, r#"["-uuid","u","-device","b","-device","a"]"#).unwrap();
        assert!(!swapped.exact);
        assert_eq!(swapped.differences, ["order    -device"]);
        assert!((swapped.score - 1.0).abs() < 1e-9);
    }

    #[test]
    fn missing_and_extra_options_are_named() {
        let verdict = compare_texts(r#"["-S","-usb"]"#, r#"["-S","-m","4"]"#).unwrap();
        assert_eq!(verdict.differences, ["missing  -usb ", "extra    -m 4"]);
        assert!((verdict.score - 0.5).abs() < 1e-9);
    }

    #[test]
    fn every_corpus_case_equals_itself_and_not_without_its_last_option() {
        let Some(directory) = default_corpus().filter(|directory| directory.is_dir()) else {
            eprintln!("skipped: no ../shared/corpus/argv beside the repository");
            return;
        };
        for entry in fs::read_dir(directory).unwrap() {
            let Ok(text) = fs::read_to_string(entry.unwrap().path().join("expected.json")) else { continue };
            assert!(compare_texts(&text, &text).unwrap().exact);
            let mut shorter: serde_json::Value = serde_json::from_str(&text).unwrap();
            shorter["argv"].as_array_mut().unwrap().pop();
            let verdict = compare_texts(&text, &shorter.to_string()).unwrap();
            assert!(!verdict.exact && verdict.score < 1.0 && verdict.score > 0.8);
        }
    }
}
