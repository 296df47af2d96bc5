//! The host comes back, or another version of the driver takes over: what runs is found as it is.

use crate::bench::{Bench, asked};
use crate::case::{Case, Finding, Needs, fault, skipped};
use crate::runner::{Operation, RunState, Subject};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "recovery.reattach",
        demands: "the driver, loaded anew, finds a domain that runs running and one that is paused paused",
        why: "nothing in a driver's memory outlives a call, and guests outlive the host",
        needs: Needs::Driver,
        run: reattach,
    },
    Case {
        name: "recovery.undisturbed",
        demands: "reattach changes neither process nor notes, and the domain can be worked with afterwards",
        why: "an upgrade of the driver must not be felt by a guest",
        needs: Needs::Driver,
        run: undisturbed,
    },
    Case {
        name: "recovery.off",
        demands: "reattach of what never ran, or was destroyed, answers off",
        why: "the host asks of everything that it is not sure of",
        needs: Needs::Driver,
        run: off,
    },
    Case {
        name: "recovery.lost",
        demands: "when the hypervisor was killed, reattach and query answer off, and the domain can be started again",
        why: "hypervisors crash, and machines run out of memory",
        needs: Needs::Driver,
        run: lost,
    },
    Case {
        name: "recovery.complete",
        demands: "recovery-complete works at any time, and again, and harms nothing that runs",
        why: "the host calls it after every recovery, whatever came of that",
        needs: Needs::Driver,
        run: complete,
    },
];

fn reattach(bench: &Bench<'_>) -> Result<(), Finding> {
    let subject = bench.started()?;
    expect(bench, &subject, RunState::Running)?;
    bench.must(&subject, Operation::Suspend)?;
    expect(bench, &subject, RunState::Paused)?;
    bench.must_be(&subject, RunState::Paused, "after reattach")?;
    bench.must(&subject, Operation::Resume)?;
    expect(bench, &subject, RunState::Running)
}

fn undisturbed(bench: &Bench<'_>) -> Result<(), Finding> {
    let subject = bench.started()?;
    let before = bench.traces(&subject)?;
    expect(bench, &subject, RunState::Running)?;
    expect(bench, &subject, RunState::Running)?;
    let after = bench.traces(&subject)?;
    if (before.process, &before.notes) != (after.process, &after.notes) {
        let asked = format!("process and notes after {}", asked(&subject, &Operation::Reattach));
        return Err(fault(&asked, &format!("{before:?}"), &format!("{after:?}")));
    }
    bench.must(&subject, Operation::Suspend)?;
    bench.must(&subject, Operation::Destroy)?;
    bench.must_be(&subject, RunState::Off, "after destroy")
}

fn off(bench: &Bench<'_>) -> Result<(), Finding> {
    let subject = bench.startable()?;
    expect(bench, &subject, RunState::Off)?;
    bench.must_be_untouched(&subject, "after reattach")?;
    bench.must(&subject, Operation::Start { paused: false })?;
    bench.must(&subject, Operation::Destroy)?;
    expect(bench, &subject, RunState::Off)
}

fn lost(bench: &Bench<'_>) -> Result<(), Finding> {
    let subject = bench.started()?;
    match bench.runner().lose_hypervisor(&subject) {
        Ok(true) => {}
        Ok(false) => return Err(skipped("the driver starts no process that could be lost")),
        Err(failure) => return Err(fault("the end of the hypervisor", "it is gone", &failure.to_string())),
    }
    expect(bench, &subject, RunState::Off)?;
    bench.must_be(&subject, RunState::Off, "after its hypervisor was killed")?;
    bench.may_conflict(&subject, Operation::Destroy)?;
    bench.must(&subject, Operation::Start { paused: false })?;
    bench.must_be(&subject, RunState::Running, "after its hypervisor was killed and it was started again")
}

fn complete(bench: &Bench<'_>) -> Result<(), Finding> {
    let finish = || {
        let done = bench.runner().recovery_complete();
        done.map_err(|failure| fault("recovery-complete", "success", &failure.to_string()))
    };
    finish()?;
    finish()?;
    let subject = bench.started()?;
    finish()?;
    bench.must_be(&subject, RunState::Running, "after recovery-complete")
}

fn expect(bench: &Bench<'_>, subject: &Subject, wanted: RunState) -> Result<(), Finding> {
    let found = bench.state(subject, Operation::Reattach)?;
    if found == wanted {
        return Ok(());
    }
    let asked = asked(subject, &Operation::Reattach);
    Err(fault(&asked, &format!("the state '{wanted}'"), &format!("the state '{found}'")))
}
