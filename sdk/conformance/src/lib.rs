//! What a driver has to do, as cases that can be run against any driver, whatever it was written in.
//!
//! A [`Case`] says what it demands and why. The cases know the contract and nothing of a host: whoever runs them
//! implements [`Runner`] with a real one (`hostler driver test` does), and gets a [`Report`] from [`run`].

mod bench;
mod case;
mod cases;
mod documents;
mod report;
mod runner;
mod text;

pub use case::{Case, Fault};
pub use cases::{cases, chosen};
pub use report::{CaseReport, Report, Verdict};
pub use runner::{
    Answer, Component, Event, Failure, FailureKind, Launch, Operation, RunState, Runner, Subject, Traces,
};

use std::time::Instant;

use bench::Bench;
use case::{Finding, Needs};

/// What the cases are run with, beside the driver.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// A document of a domain that the driver can start here; a minimal one for each domain type when there is none.
    pub document: Option<String>,
}

/// Runs cases in their order. `begun` is told of each before it begins.
pub fn run(
    runner: &dyn Runner,
    settings: &Settings,
    cases: &[&'static Case],
    mut begun: impl FnMut(&Case),
) -> Report {
    let bench = Bench::new(runner, settings);
    let reports = cases.iter().map(|case| {
        begun(case);
        run_one(&bench, case)
    });
    Report { cases: reports.collect() }
}

fn run_one(bench: &Bench<'_>, case: &'static Case) -> CaseReport {
    let begin = Instant::now();
    let found = match (case.needs, bench.runner().refused()) {
        (Needs::Driver, Some(why)) => {
            Err(Finding::Skipped(format!("the host does not load the driver: {why}")))
        }
        _ => (case.run)(bench),
    };
    let cleared = bench.clear();
    let verdict = match (found, cleared) {
        (Ok(()), Ok(())) => Verdict::Passed,
        (Err(Finding::Failed(fault)), _) => Verdict::Failed { fault },
        (Ok(()) | Err(Finding::Skipped(_)), Err(fault)) => Verdict::Failed { fault },
        (Err(Finding::Skipped(why)), Ok(())) => Verdict::Skipped { reason: text::shown(&why) },
    };
    CaseReport { case, verdict, took: begin.elapsed() }
}
