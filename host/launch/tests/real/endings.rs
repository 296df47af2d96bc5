//! Every way a hypervisor, its shim or its launcher can end.

use std::time::Duration;

use hostler_launch::shim::record::{ExitRecord, StopReason};
use hostler_launch::{
    Ending, LaunchErrorKind, OptionEntry, QmpErrorKind, ShimClient, ShimErrorKind, Value, end_orphan,
};
use hostler_state::RunRecord;

use crate::support::{Domain, PATIENCE, kill, shim_pid};

fn exit_of(domain: &Domain) -> ExitRecord {
    domain.run.read(RunRecord::Exit).unwrap().unwrap()
}

fn stopped_reason(domain: &Domain) -> String {
    let batch = domain.owner.events().read_since(0).unwrap();
    let event = batch.events.iter().find(|event| event.kind == hostler_launch::STOPPED).unwrap();
    assert_eq!((event.name.as_str(), event.domain), ("test", domain.run.domain()));
    event.detail["reason"].clone()
}

#[test]
fn shim_that_cannot_be_reached_by_this_process_is_not_taken_for_dead() {
    let mut domain = Domain::new("none");
    let client = domain.start();
    let (socket, aside) = (domain.run.socket_path(), domain.path("aside"));
    std::fs::rename(&socket, &aside).unwrap();
    std::os::unix::fs::symlink(&socket, &socket).unwrap();
    let error = ShimClient::connect(&domain.run).unwrap_err();
    assert_eq!(error.kind, ShimErrorKind::Io, "an orphan would be ended: {error}");
    std::fs::rename(&aside, &socket).unwrap();
    assert_eq!(client.end(false, PATIENCE).unwrap(), Ending::Killed(9));
}

#[test]
fn graceful_end_is_destroyed_and_frees_the_lock() {
    let mut domain = Domain::new("none");
    let client = domain.start();
    assert!(domain.run.is_held().unwrap());
    assert_eq!(client.end(true, PATIENCE).unwrap(), Ending::Exited(0));
    assert!(!domain.run.is_held().unwrap(), "the lock is free as soon as the end is known");
    assert_eq!(exit_of(&domain).reason, StopReason::Destroyed);
    assert_eq!(stopped_reason(&domain), "destroyed");
    assert_eq!(client.wait(PATIENCE).unwrap(), Some(Ending::Exited(0)));
    assert_eq!(ShimClient::connect(&domain.run).unwrap_err().kind, ShimErrorKind::NotRunning);
    let closed = client.execute("query-status", None, &[], PATIENCE).unwrap_err();
    assert_eq!(closed.kind, QmpErrorKind::Closed);
}

#[test]
fn forced_end_kills_and_waiters_hear_it() {
    let mut domain = Domain::new("none");
    let client = domain.start();
    let waiting = client.clone();
    let waiter = std::thread::spawn(move || waiting.wait(PATIENCE));
    assert_eq!(client.wait(Duration::from_millis(10)).unwrap(), None);
    assert_eq!(client.end(false, PATIENCE).unwrap(), Ending::Killed(9));
    assert_eq!(waiter.join().unwrap().unwrap(), Some(Ending::Killed(9)));
}

#[test]
fn waits_of_any_length_are_waits() {
    let mut domain = Domain::new("none");
    let client = domain.start();
    let waiting = client.clone();
    let waiter = std::thread::spawn(move || waiting.wait(Duration::MAX));
    assert_eq!(client.end(true, Duration::MAX).unwrap(), Ending::Exited(0));
    assert_eq!(waiter.join().unwrap().unwrap(), Some(Ending::Exited(0)));
}

#[test]
fn stopped_process_that_ignores_the_question_is_killed_in_time() {
    let mut domain = Domain::new("none");
    let client = domain.start();
    let pid = client.status().unwrap().pid;
    let raw = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(raw, rustix::process::Signal::STOP).unwrap();
    assert_eq!(client.end(true, Duration::from_millis(50)).unwrap(), Ending::Killed(9));
}

#[test]
fn killed_hypervisor_is_crashed() {
    let mut domain = Domain::new("none");
    let client = domain.start();
    kill(client.status().unwrap().pid);
    assert_eq!(client.wait(PATIENCE).unwrap(), Some(Ending::Killed(9)));
    assert_eq!(exit_of(&domain).reason, StopReason::Crashed);
    assert_eq!(stopped_reason(&domain), "crashed");
}

#[test]
fn reaction_quits_when_the_guest_shuts_down_and_nobody_is_attached() {
    let mut domain = Domain::new("q35");
    domain.react("RESUME", "quit");
    let client = domain.start();
    client.execute("cont", None, &[], PATIENCE).ok();
    assert_eq!(client.wait(PATIENCE).unwrap(), Some(Ending::Exited(0)));
    // Nobody asked the guest: it was the monitor's quit.
    assert_eq!(exit_of(&domain).reason, StopReason::Destroyed);
}

#[test]
fn hypervisor_that_ends_at_once_is_reported_with_its_last_words() {
    let mut domain = Domain::new("nosuchmachine");
    let error = domain.try_start().unwrap_err();
    assert_eq!(error.kind, LaunchErrorKind::HypervisorFailed);
    assert!(error.hints.iter().any(|hint| hint.contains("unsupported machine type")), "{:?}", error.hints);
    assert!(!domain.run.is_held().unwrap());
    assert_eq!(exit_of(&domain).reason, StopReason::Failed);
}

#[test]
fn shim_is_never_searched_for_and_a_missing_one_is_named() {
    let domain = Domain::new("none");
    for shim in ["hostler-shim", "./hostler-shim", "/nonexistent/hostler-shim"] {
        let checked = hostler_launch::check(&domain.plan, &domain.handles, &crate::support::qemu()).unwrap();
        let context = hostler_launch::LaunchContext {
            shim: shim.into(),
            domain_name: "test".into(),
            ..crate::support::context()
        };
        let handles = vec![hostler_launch::Handle::Monitor];
        let error =
            hostler_launch::launch(&domain.run, &context, checked, vec![], handles, PATIENCE).unwrap_err();
        assert_eq!((error.kind, error.option.as_str()), (LaunchErrorKind::ShimFailed, shim));
        assert!(!domain.run.is_held().unwrap());
    }
}

#[test]
fn second_launch_of_a_running_domain_is_refused() {
    let mut domain = Domain::new("none");
    let client = domain.start();
    domain.handles = vec![hostler_launch::Handle::Monitor];
    assert_eq!(domain.try_start().unwrap_err().kind, LaunchErrorKind::Busy);
    assert!(client.status().is_ok());
}

#[test]
fn killed_shim_leaves_the_lock_held_and_the_orphan_can_be_ended() {
    let mut domain = Domain::new("none");
    let client = domain.start();
    let pid = client.status().unwrap().pid;
    kill(shim_pid(&domain.run));
    assert!(domain.run.is_held().unwrap(), "the hypervisor still holds it");
    assert!(std::fs::exists(format!("/proc/{pid}")).unwrap());
    assert_eq!(ShimClient::connect(&domain.run).unwrap_err().kind, ShimErrorKind::Orphaned);
    domain.handles = vec![hostler_launch::Handle::Monitor];
    assert_eq!(domain.try_start().unwrap_err().kind, LaunchErrorKind::Busy);
    end_orphan(&domain.run).unwrap();
    assert!(!domain.run.is_held().unwrap());
    end_orphan(&domain.run).unwrap();
    domain.handles = vec![hostler_launch::Handle::Monitor];
    domain.start();
}

#[test]
fn orphan_is_ended_although_nothing_was_recorded_of_it() {
    let mut domain = Domain::new("none");
    domain.start();
    kill(shim_pid(&domain.run));
    std::fs::remove_file(domain.run.record_path(RunRecord::Process)).unwrap();
    end_orphan(&domain.run).unwrap();
    assert!(!domain.run.is_held().unwrap());
}

#[test]
fn silent_monitor_is_a_timeout_and_nothing_stays() {
    let mut domain = Domain::new("none");
    // The monitor's end exists, but no monitor is made on it.
    domain.plan.options.retain(|option: &OptionEntry| option.name != "mon");
    let checked = hostler_launch::check(&domain.plan, &domain.handles, &crate::support::qemu()).unwrap();
    let handles = std::mem::take(&mut domain.handles);
    let soon = Duration::from_millis(600);
    let error =
        hostler_launch::launch(&domain.run, &crate::support::context(), checked, vec![], handles, soon)
            .unwrap_err();
    assert_eq!(error.kind, LaunchErrorKind::TimedOut, "{error}");
}

#[test]
fn launcher_killed_when_ready_leaves_a_shim_that_can_be_connected_to() {
    if std::env::var_os("HOSTLER_TEST_LAUNCHER").is_some() {
        return;
    }
    let mut domain = Domain::new("none");
    let me = std::env::current_exe().unwrap();
    let mut launcher = std::process::Command::new(me)
        .args(["--exact", "endings::launcher_process", "--nocapture"])
        .env("HOSTLER_TEST_LAUNCHER", domain.run.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(launcher.stdout.take().unwrap()));
    assert!(lines.any(|line| line.unwrap().contains("launched")));
    launcher.kill().unwrap();
    launcher.wait().unwrap();
    let client = ShimClient::connect(&domain.run).unwrap();
    assert!(client.execute("query-status", None, &[], PATIENCE).is_ok());
    assert_eq!(client.end(true, PATIENCE).unwrap(), Ending::Exited(0));
    domain.plan.options.clear();
}

/// Not a test of its own: the launcher that the test above kills.
#[test]
fn launcher_process() {
    let Some(path) = std::env::var_os("HOSTLER_TEST_LAUNCHER") else { return };
    let mut domain = Domain::new("none");
    let run = hostler_state::RunDir::open(std::path::Path::new(&path)).unwrap();
    domain.option("msg", Value::mapping([("timestamp", Value::Boolean(true))]));
    let checked = hostler_launch::check(&domain.plan, &domain.handles, &crate::support::qemu()).unwrap();
    let handles = std::mem::take(&mut domain.handles);
    hostler_launch::launch(&run, &crate::support::context(), checked, vec![], handles, PATIENCE).unwrap();
    println!("launched");
    // Killed here.
    std::io::Read::read(&mut std::os::unix::net::UnixStream::pair().unwrap().0, &mut [0]).unwrap();
}
