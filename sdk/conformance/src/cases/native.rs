//! `native-config`: shows a launch, and starts nothing.

use crate::bench::{Bench, asked};
use crate::case::{Case, Finding, Needs, fault};
use crate::runner::{Answer, Launch, Operation, RunState, Subject};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "native.shows",
        demands: "show asks for the launch of a program that the manifest asks for, and starts nothing",
        why: "it is used on machines where nothing may be started",
        needs: Needs::Driver,
        run: shows,
    },
    Case {
        name: "native.same",
        demands: "show asks for the same launch every time",
        why: "a launch that changes by itself is another machine at each start",
        needs: Needs::Driver,
        run: same,
    },
];

fn shows(bench: &Bench<'_>) -> Result<(), Finding> {
    let subject = showable(bench)?;
    let launch = show(bench, &subject)?;
    let wanted = format!("process:{}", launch.template);
    if !bench.component().grants.contains(&wanted) {
        let expected = format!("a program among the grants {}", bench.component().grants.join(", "));
        return Err(fault(&asked(&subject, &Operation::Show), &expected, &launch.template));
    }
    bench.must_be_untouched(&subject, "after native-config.show")?;
    bench.must_be(&subject, RunState::Off, "after native-config.show")
}

fn same(bench: &Bench<'_>) -> Result<(), Finding> {
    let subject = showable(bench)?;
    let (once, twice) = (show(bench, &subject)?, show(bench, &subject)?);
    if once == twice {
        return Ok(());
    }
    Err(fault(&asked(&subject, &Operation::Show), &once.text, &twice.text))
}

/// A checked domain, for a driver that has the interface.
fn showable(bench: &Bench<'_>) -> Result<Subject, Finding> {
    bench.require_interface("native-config")?;
    let written = bench.minimal(bench.kind()?);
    let xml = bench.document(&written)?;
    Ok(Subject { xml, ..written })
}

fn show(bench: &Bench<'_>, subject: &Subject) -> Result<Launch, Finding> {
    match bench.must(subject, Operation::Show)? {
        Answer::Launch(launch) => Ok(launch),
        other => Err(fault(&asked(subject, &Operation::Show), "a launch", &other.to_string())),
    }
}
