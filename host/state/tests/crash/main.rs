//! Stops every verb-like sequence at every file-system call and looks at what the next owner finds.
//!
//! Three ways of stopping: the process is killed (SIGKILL, in a real child), the call fails (ENOSPC, EIO),
//! and the power is cut (what was not fsynced is lost, from a recording of the calls).

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of this is test code: a failed unwrap is a failed test"
)]

mod faults;
mod power;
mod verbs;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use faults::{Fault, FaultyDisk};
use hostler_state::{Kind, RealDisk, StateDir};
use verbs::{VERBS, View, prepare, view};

/// Tells the child process which verb to run, where, and at which call to die.
const CHILD: &str = "HOSTLER_STATE_CRASH_CHILD";

/// What a verb may leave behind: all of its intermediate acknowledged states, in order.
fn expected(name: &str) -> Vec<View> {
    let root = verbs::scratch();
    prepare(root.path());
    let mut views = vec![view(root.path())];
    verbs::run(name, Arc::new(RealDisk), root.path(), |_| views.push(view(root.path()))).unwrap();
    views
}

/// After a stop with `acknowledged` steps done, the state is that of the last acknowledged step or the next.
fn check(name: &str, at: u64, root: &Path, acknowledged: usize, expected: &[View]) {
    drop(
        StateDir::open_owner(root, Duration::ZERO).unwrap_or_else(|e| panic!("{name} stopped at {at}: {e}")),
    );
    let found = view(root);
    let allowed = expected.get(acknowledged..(acknowledged + 2).min(expected.len())).unwrap();
    assert!(allowed.contains(&found), "{name} stopped at call {at}: {found:#?} is none of {allowed:#?}");
    assert_eq!(verbs::leftovers(root), Vec::<String>::new(), "{name} stopped at call {at}");
}

/// How many calls the verb makes, opening included.
fn calls_of(name: &str) -> u64 {
    let root = verbs::scratch();
    prepare(root.path());
    let disk = Arc::new(FaultyDisk::new(u64::MAX, Fault::Kill));
    verbs::run(name, disk.clone(), root.path(), |_| {}).unwrap();
    disk.calls()
}

/// How many calls it takes to become the owner.
fn calls_of_opening() -> u64 {
    let root = verbs::scratch();
    prepare(root.path());
    let disk = Arc::new(FaultyDisk::new(u64::MAX, Fault::Kill));
    drop(StateDir::open_owner_on(disk.clone(), root.path(), Duration::ZERO).unwrap());
    disk.calls()
}

#[test]
fn killed_process_leaves_the_old_state_or_the_new() {
    if let Ok(order) = std::env::var(CHILD) {
        return child(&order);
    }
    let mut stops = 0;
    for name in VERBS {
        let expected = expected(name);
        for at in 1..=calls_of(name) {
            let root = verbs::scratch();
            prepare(root.path());
            let status = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "killed_process_leaves_the_old_state_or_the_new", "--nocapture"])
                .env(CHILD, format!("{name} {at} {}", root.path().display()))
                .stdout(Stdio::null())
                .status()
                .unwrap();
            assert_eq!(
                std::os::unix::process::ExitStatusExt::signal(&status),
                Some(9),
                "{name} {at}: {status}"
            );
            let acknowledged =
                std::fs::read(root.path().join(verbs::ACKNOWLEDGED)).map_or(0, |done| done.len());
            check(name, at, root.path(), acknowledged, &expected);
            stops += 1;
        }
    }
    assert!(stops > 100, "only {stops} stops");
}

/// Runs a verb and dies at the ordered call. Each acknowledged step is noted in a file of the test.
fn child(order: &str) {
    let mut words = order.splitn(3, ' ');
    let (name, at, root) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
    let disk = Arc::new(FaultyDisk::new(at.parse().unwrap(), Fault::Kill));
    let root = Path::new(root);
    let note = |step: usize| std::fs::write(root.join(verbs::ACKNOWLEDGED), vec![b'.'; step]).unwrap();
    verbs::run(name, disk, root, note).unwrap();
}

#[test]
fn failing_call_is_an_error_and_leaves_the_old_state_or_the_new() {
    let opening = calls_of_opening();
    for fault in [Fault::NoSpace, Fault::InputOutput] {
        for name in VERBS {
            let expected = expected(name);
            for at in 1..=calls_of(name) {
                let root = verbs::scratch();
                prepare(root.path());
                let disk = Arc::new(FaultyDisk::new(at, fault));
                let mut acknowledged = 0;
                let done = verbs::run(name, disk.clone(), root.path(), |step| acknowledged = step);
                match done {
                    Err(error) => {
                        assert!(!error.to_string().is_empty());
                        assert!(matches!(error.kind, Kind::Io | Kind::Full), "{name} {at}: {error:?}");
                    }
                    // What was removed already is only tidied up: failing at that is no failure of the verb. What cannot be
                    // read for the index is read again by whoever asks: when an owner comes a record, and once something was
                    // written what lies beside it, too.
                    Ok(()) => {
                        let for_the_index = disk.reading() || (at > opening && disk.listing());
                        assert!(disk.tidying() || for_the_index, "{name} ignored the failure of call {at}");
                    }
                }
                check(name, at, root.path(), acknowledged, &expected);
            }
        }
    }
}

#[test]
fn failed_sync_refuses_every_further_write_until_reopened() {
    let root = verbs::scratch();
    prepare(root.path());
    let disk = Arc::new(FaultyDisk::on_sync());
    let owner = StateDir::open_owner_on(disk, root.path(), Duration::ZERO).unwrap();
    let domain = verbs::definition(1, 2);
    assert_eq!(owner.put_definition(&domain).unwrap_err().kind, Kind::Io);
    for _ in 0..2 {
        assert_eq!(owner.put_definition(&domain).unwrap_err().kind, Kind::ReadOnly);
    }
    assert_eq!(owner.remove_definition(domain.uuid).unwrap_err().kind, Kind::ReadOnly);
    assert!(owner.definition_by_uuid(domain.uuid).unwrap().is_some());
    drop(owner);
    StateDir::open_owner(root.path(), Duration::ZERO).unwrap().put_definition(&domain).unwrap();
}

#[test]
fn power_cut_loses_nothing_acknowledged() {
    for name in VERBS {
        let violations = power::violations(name, &expected(name), power::Syncs::Kept);
        assert_eq!(violations, Vec::<String>::new(), "{name}");
    }
}

#[test]
fn power_cut_harness_notices_a_missing_directory_sync() {
    for name in ["define", "redefine", "undefine", "journal"] {
        let violations = power::violations(name, &expected(name), power::Syncs::WithoutDirectories);
        assert!(!violations.is_empty(), "{name}");
    }
}

#[test]
fn power_cut_harness_notices_a_missing_data_sync() {
    let violations = power::violations("redefine", &expected("redefine"), power::Syncs::WithoutData);
    assert!(!violations.is_empty());
}
