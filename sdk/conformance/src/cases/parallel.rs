//! Two domains at once: the host serialises what is about one, and nothing else.

use crate::bench::{Bench, asked};
use crate::case::{Case, Finding, Needs, fault};
use crate::documents;
use crate::runner::{Answer, Operation, RunState};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "parallel.checks",
        demands: "documents that are checked at the same time come back each as its own",
        why: "a driver serves many users at once",
        needs: Needs::Driver,
        run: checks,
    },
    Case {
        name: "parallel.lives",
        demands: "two domains that are started, suspended and ended at the same time do not mix",
        why: "a driver serves many domains at once",
        needs: Needs::Driver,
        run: lives,
    },
];

/// How many documents are checked at once.
const CHECKS: usize = 8;

fn checks(bench: &Bench<'_>) -> Result<(), Finding> {
    let kind = bench.kind()?;
    let calls: Vec<_> = (0..CHECKS).map(|_| (bench.minimal(kind), Operation::Check)).collect();
    let answers = bench.runner().call_together(&calls);
    for ((subject, operation), answer) in calls.iter().zip(answers) {
        let asked = asked(subject, operation);
        let completed = match answer {
            Ok(Answer::Document(completed)) => completed,
            Ok(other) => return Err(fault(&asked, "a document", &other.to_string())),
            Err(failure) => return Err(fault(&asked, "success", &failure.to_string())),
        };
        let found = (documents::element(&completed, "name"), documents::element(&completed, "uuid"));
        if found != (Some(subject.name.clone()), Some(subject.uuid.clone())) {
            return Err(fault(&asked, &format!("'{}' {}", subject.name, subject.uuid), &completed));
        }
    }
    Ok(())
}

fn lives(bench: &Bench<'_>) -> Result<(), Finding> {
    let [one, other] = bench.two_startable()?;
    let together = |operations: [Operation; 2], states: [RunState; 2]| -> Result<(), Finding> {
        let [first, second] = operations;
        let calls = [(one.clone(), first), (other.clone(), second)];
        for ((subject, operation), answer) in calls.iter().zip(bench.runner().call_together(&calls)) {
            answer.map_err(|failure| fault(&asked(subject, operation), "success", &failure.to_string()))?;
        }
        let [first, second] = states;
        let both = calls.iter().map(|(subject, operation)| asked(subject, operation)).collect::<Vec<_>>();
        let after = format!("after {}", both.join(" and "));
        bench.must_be(&one, first, &after)?;
        bench.must_be(&other, second, &after)
    };
    let start = |paused| Operation::Start { paused };
    together([start(false), start(true)], [RunState::Running, RunState::Paused])?;
    together([Operation::Suspend, Operation::Resume], [RunState::Paused, RunState::Running])?;
    together([Operation::Resume, Operation::Destroy], [RunState::Running, RunState::Off])?;
    together([Operation::Destroy, start(false)], [RunState::Off, RunState::Running])
}
