//! What a driver says of itself.

use crate::bench::Bench;
use crate::case::{Case, Finding, Needs, fault};
use crate::runner::Answer;

pub(super) const CASES: &[Case] = &[Case {
    name: "about.pure",
    demands: "describe gives a title, and the same answer every time",
    why: "a host asks once and shows that for as long as the driver is installed",
    needs: Needs::Driver,
    run: pure,
}];

fn pure(bench: &Bench<'_>) -> Result<(), Finding> {
    let ask = || {
        let described = bench.runner().describe();
        described.map_err(|failure| fault("describe", "success", &failure.to_string()))
    };
    let (first, second) = (ask()?, ask()?);
    if first != second {
        return Err(fault("describe, a second time", &first.to_string(), &second.to_string()));
    }
    match &first {
        Answer::Description(texts) if texts.first().is_some_and(|title| !title.trim().is_empty()) => Ok(()),
        other => Err(fault("describe", "a title that is not empty", &other.to_string())),
    }
}
