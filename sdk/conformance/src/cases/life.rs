//! The life cycle, as a user goes through it.

use crate::bench::Bench;
use crate::case::{Case, Finding, Needs, fault};
use crate::runner::{Operation, RunState};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "life.off-at-first",
        demands: "a domain that was never started is off",
        why: "the host asks before it starts anything",
        needs: Needs::Driver,
        run: off_at_first,
    },
    Case {
        name: "life.start",
        demands: "when start returns, the domain runs",
        why: "a start that is acknowledged has happened",
        needs: Needs::Driver,
        run: start,
    },
    Case {
        name: "life.start-paused",
        demands: "a start with paused=yes leaves the domain paused, and resume lets it run",
        why: "devices are plugged and debuggers attached before the first instruction",
        needs: Needs::Driver,
        run: start_paused,
    },
    Case {
        name: "life.suspend-resume",
        demands: "suspend returns when the domain is paused, resume when it runs",
        why: "whoever suspends takes a snapshot next",
        needs: Needs::Driver,
        run: suspend_resume,
    },
    Case {
        name: "life.reset",
        demands: "a domain that is reset goes on running",
        why: "the reset button is not the power switch",
        needs: Needs::Driver,
        run: reset,
    },
    Case {
        name: "life.shutdown",
        demands: "shutdown asks the guest and returns; the domain runs, shuts down or is off, and can be destroyed",
        why: "a guest may be slow, or not listen",
        needs: Needs::Driver,
        run: shutdown,
    },
    Case {
        name: "life.destroy",
        demands: "when destroy returns, the domain is off and nothing of it runs, whether it ran or was paused",
        why: "its images are moved or removed next",
        needs: Needs::Driver,
        run: destroy,
    },
    Case {
        name: "life.again",
        demands: "a domain that was destroyed can be started again, as often as one likes",
        why: "nothing of one run may stand in the way of the next",
        needs: Needs::Driver,
        run: again,
    },
];

fn off_at_first(bench: &Bench<'_>) -> Result<(), Finding> {
    let subject = bench.minimal(bench.kind()?);
    bench.must_be(&subject, RunState::Off, "before it was ever started")?;
    bench.must_be_untouched(&subject, "after query")
}

fn start(bench: &Bench<'_>) -> Result<(), Finding> {
    bench.must_be(&bench.started()?, RunState::Running, "after start")
}

fn start_paused(bench: &Bench<'_>) -> Result<(), Finding> {
    let subject = bench.startable()?;
    bench.must(&subject, Operation::Start { paused: true })?;
    bench.must_be(&subject, RunState::Paused, "after start with paused=yes")?;
    bench.must(&subject, Operation::Resume)?;
    bench.must_be(&subject, RunState::Running, "after resume")
}

fn suspend_resume(bench: &Bench<'_>) -> Result<(), Finding> {
    let subject = bench.started()?;
    for _ in 0..2 {
        bench.must(&subject, Operation::Suspend)?;
        bench.must_be(&subject, RunState::Paused, "after suspend")?;
        bench.must(&subject, Operation::Resume)?;
        bench.must_be(&subject, RunState::Running, "after resume")?;
    }
    Ok(())
}

fn reset(bench: &Bench<'_>) -> Result<(), Finding> {
    let subject = bench.started()?;
    let before = bench.traces(&subject)?.process;
    bench.must(&subject, Operation::Reset)?;
    bench.must_be(&subject, RunState::Running, "after reset")?;
    let after = bench.traces(&subject)?.process;
    if before == after {
        return Ok(());
    }
    let process =
        |process: Option<u32>| process.map_or_else(|| "none".to_owned(), |pid| format!("process {pid}"));
    Err(fault("the hypervisor after reset", &process(before), &process(after)))
}

fn shutdown(bench: &Bench<'_>) -> Result<(), Finding> {
    let subject = bench.started()?;
    bench.must(&subject, Operation::Shutdown)?;
    let states = [RunState::Running, RunState::ShuttingDown, RunState::Off];
    bench.must_be_one_of(&subject, &states, "after shutdown")?;
    bench.may_conflict(&subject, Operation::Destroy)?;
    nothing_runs(bench, &subject, "after shutdown and destroy")
}

fn destroy(bench: &Bench<'_>) -> Result<(), Finding> {
    for paused in [false, true] {
        let subject = bench.startable()?;
        bench.must(&subject, Operation::Start { paused })?;
        bench.must(&subject, Operation::Destroy)?;
        nothing_runs(bench, &subject, "after destroy")?;
    }
    Ok(())
}

fn again(bench: &Bench<'_>) -> Result<(), Finding> {
    let subject = bench.startable()?;
    for _ in 0..3 {
        bench.must(&subject, Operation::Start { paused: false })?;
        bench.must_be(&subject, RunState::Running, "after start")?;
        bench.must(&subject, Operation::Destroy)?;
        nothing_runs(bench, &subject, "after destroy")?;
    }
    Ok(())
}

fn nothing_runs(bench: &Bench<'_>, subject: &crate::Subject, after: &str) -> Result<(), Finding> {
    bench.must_be(subject, RunState::Off, after)?;
    match bench.traces(subject)?.process {
        None => Ok(()),
        Some(pid) => Err(fault(&format!("the hypervisor {after}"), "none", &format!("process {pid}"))),
    }
}
