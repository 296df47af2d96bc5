//! Operations in a state that they are not for: a conflict, and nothing is lost.

use crate::bench::Bench;
use crate::case::{Case, Finding, Needs, fault};
use crate::runner::{FailureKind, Operation, RunState};

const WHY: &str =
    "two users, or a user and an event, can want different things at once; neither may lose the guest";

pub(super) const CASES: &[Case] = &[
    Case {
        name: "state.start-twice",
        demands: "a start of what runs is a conflict, and what runs goes on",
        why: "a guest that is started twice destroys its disks",
        needs: Needs::Driver,
        run: start_twice,
    },
    Case {
        name: "state.suspend-off",
        demands: "suspend of what is off is a conflict, and it stays off",
        why: WHY,
        needs: Needs::Driver,
        run: |bench| conflict_when_off(bench, Operation::Suspend),
    },
    Case {
        name: "state.resume-off",
        demands: "resume of what is off is a conflict, and it stays off",
        why: WHY,
        needs: Needs::Driver,
        run: |bench| conflict_when_off(bench, Operation::Resume),
    },
    Case {
        name: "state.reset-off",
        demands: "reset of what is off is a conflict, and it stays off",
        why: WHY,
        needs: Needs::Driver,
        run: |bench| conflict_when_off(bench, Operation::Reset),
    },
    Case {
        name: "state.shutdown-off",
        demands: "shutdown of what is off is a conflict, and it stays off",
        why: WHY,
        needs: Needs::Driver,
        run: |bench| conflict_when_off(bench, Operation::Shutdown),
    },
    Case {
        name: "state.destroy-off",
        demands: "destroy of what is off has nothing to do or is a conflict, and it can still be started",
        why: WHY,
        needs: Needs::Driver,
        run: destroy_off,
    },
    Case {
        name: "state.suspend-twice",
        demands: "suspend of what is paused has nothing to do or is a conflict; it stays paused, and can be resumed",
        why: WHY,
        needs: Needs::Driver,
        run: suspend_twice,
    },
    Case {
        name: "state.resume-twice",
        demands: "resume of what runs has nothing to do or is a conflict, and it goes on",
        why: WHY,
        needs: Needs::Driver,
        run: resume_twice,
    },
];

fn start_twice(bench: &Bench<'_>) -> Result<(), Finding> {
    let subject = bench.started()?;
    let before = bench.traces(&subject)?;
    bench.must_refuse(&subject, Operation::Start { paused: false }, &[FailureKind::Conflict])?;
    bench.must_be(&subject, RunState::Running, "after a second start")?;
    let after = bench.traces(&subject)?;
    if before.process == after.process && before.notes == after.notes {
        return Ok(());
    }
    Err(fault("process and notes after a second start", &format!("{before:?}"), &format!("{after:?}")))
}

fn conflict_when_off(bench: &Bench<'_>, operation: Operation) -> Result<(), Finding> {
    let subject = bench.startable()?;
    let after = format!("after {operation} of what is off");
    bench.must_refuse(&subject, operation, &[FailureKind::Conflict])?;
    bench.must_be(&subject, RunState::Off, &after)?;
    bench.must_be_untouched(&subject, &after)
}

fn destroy_off(bench: &Bench<'_>) -> Result<(), Finding> {
    let subject = bench.startable()?;
    bench.may_conflict(&subject, Operation::Destroy)?;
    bench.must_be(&subject, RunState::Off, "after destroy of what is off")?;
    bench.must(&subject, Operation::Start { paused: false })?;
    bench.must_be(&subject, RunState::Running, "after start")
}

fn suspend_twice(bench: &Bench<'_>) -> Result<(), Finding> {
    let subject = bench.started()?;
    bench.must(&subject, Operation::Suspend)?;
    bench.may_conflict(&subject, Operation::Suspend)?;
    bench.must_be(&subject, RunState::Paused, "after a second suspend")?;
    bench.must(&subject, Operation::Resume)?;
    bench.must_be(&subject, RunState::Running, "after resume")
}

fn resume_twice(bench: &Bench<'_>) -> Result<(), Finding> {
    let subject = bench.started()?;
    bench.may_conflict(&subject, Operation::Resume)?;
    bench.must_be(&subject, RunState::Running, "after resume of what runs")
}
