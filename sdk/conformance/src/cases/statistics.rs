//! `statistics`: counters that whoever reads them can rely on.

use std::collections::BTreeSet;

use crate::bench::{Bench, asked};
use crate::case::{Case, Finding, Needs, fault};
use crate::runner::{Answer, Operation, RunState, Subject};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "statistics.reads",
        demands: "read gives each counter of a domain that runs once, under words joined by dots, and as many of a list as \
                  its count says",
        why: "programs find a counter by its name, and the members of a list by their numbers",
        needs: Needs::Driver,
        run: reads,
    },
    Case {
        name: "statistics.changes-nothing",
        demands: "read changes neither process nor notes nor state, tells of no events, and can be asked again",
        why: "monitoring asks every few seconds, for as long as a guest lives",
        needs: Needs::Driver,
        run: changes_nothing,
    },
];

/// How the name of a list's length ends.
const COUNT: &str = ".count";

fn reads(bench: &Bench<'_>) -> Result<(), Finding> {
    let subject = readable(bench)?;
    let counters = read(bench, &subject)?;
    let failed =
        |expected: &str, came: &str| Err(fault(&asked(&subject, &Operation::Statistics), expected, came));
    let mut names = BTreeSet::new();
    for (name, _) in &counters {
        if !name.split('.').all(is_word) {
            return failed("counters whose names are words joined by dots", &format!("'{name}'"));
        }
        if !names.insert(name.as_str()) {
            return failed("each counter once", &format!("'{name}' twice"));
        }
    }
    for (name, value) in &counters {
        let Some(list) = name.strip_suffix(COUNT) else { continue };
        let Ok(count) = value.parse::<u32>() else {
            return failed(&format!("a whole number as '{name}'"), &format!("'{value}'"));
        };
        let is_there = |index: u32| {
            let begin = format!("{list}.{index}.");
            names.iter().any(|name| name.starts_with(&begin))
        };
        if let Some(missing) = (0..count).find(|index| !is_there(*index)) {
            return failed(
                &format!("{count} of '{list}', as '{name}' says"),
                &format!("nothing of '{list}.{missing}'"),
            );
        }
    }
    Ok(())
}

fn is_word(word: &str) -> bool {
    let is_in_words = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    !word.is_empty() && word.bytes().all(is_in_words)
}

fn changes_nothing(bench: &Bench<'_>) -> Result<(), Finding> {
    let subject = readable(bench)?;
    let before = bench.traces(&subject)?;
    for _ in 0..2 {
        read(bench, &subject)?;
    }
    let after = bench.traces(&subject)?;
    if before != after {
        let asked = "the host's own view of the domain after two reads of its statistics";
        return Err(fault(asked, &format!("{before:?}"), &format!("{after:?}")));
    }
    bench.must_be(&subject, RunState::Running, "after two reads of its statistics")
}

/// A domain that runs, for a driver that has the interface.
fn readable(bench: &Bench<'_>) -> Result<Subject, Finding> {
    bench.require_interface("statistics")?;
    bench.started()
}

fn read(bench: &Bench<'_>, subject: &Subject) -> Result<Vec<(String, String)>, Finding> {
    match bench.must(subject, Operation::Statistics)? {
        Answer::Counters(counters) => Ok(counters),
        other => Err(fault(&asked(subject, &Operation::Statistics), "counters", &other.to_string())),
    }
}
