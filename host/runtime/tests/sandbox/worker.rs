//! Drivers in processes of their own: what such a process is, and what becomes of an operation when it ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use hostler_runtime::{Driver, RunState, RuntimeError, RuntimeErrorKind};
use rustix::process::{Pid, Signal, kill_process};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::setting::{Place, Setting, both};

/// The host calls that the host's own log tells of, each with the process that makes it. Ends that process as it makes
/// one of them: before the host has begun with it.
#[derive(Clone, Default)]
struct Watch {
    calls: Arc<Mutex<Vec<(u32, String)>>>,
    kill_at: Option<usize>,
}

impl Watch {
    fn killing_at(call: usize) -> Self {
        Self { kill_at: Some(call), ..Self::default() }
    }

    fn calls(&self) -> Vec<(u32, String)> {
        self.calls.lock().unwrap().clone()
    }

    /// The one process that has made calls.
    fn process(&self) -> u32 {
        let calls = self.calls();
        assert!(calls.iter().all(|(pid, _)| *pid == calls[0].0), "{calls:?}");
        calls[0].0
    }
}

/// The fields of one line of the log.
#[derive(Default)]
struct Line {
    pid: Option<u64>,
    call: String,
}

impl Visit for Line {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "pid" {
            self.pid = Some(value);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "call" {
            value.clone_into(&mut self.call);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

impl Subscriber for Watch {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("hostler_runtime::worker")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let (Some(pid), false) = (line.pid, line.call.is_empty()) else { return };
        let pid = u32::try_from(pid).unwrap();
        let mut calls = self.calls.lock().unwrap();
        if self.kill_at == Some(calls.len()) {
            kill(pid);
        }
        calls.push((pid, line.call));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn kill(pid: u32) {
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
}

fn of(pid: u32, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{name}"))
}

/// A worker that has nothing to do, and what it works for.
async fn idle_worker(setting: &Setting) -> (Driver, u32) {
    let driver = setting.load(Place::Apart, "drivers/test.wasm");
    let watch = Watch::default();
    let _watching = tracing::subscriber::set_default(watch.clone());
    driver.check(&setting.context()).await.unwrap();
    (driver, watch.process())
}

fn field(status: &str, name: &str) -> String {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().to_owned()
}

#[tokio::test]
async fn process_of_a_driver_has_no_rights_no_names_and_no_others() {
    let setting = Setting::new("test", "vm1");
    let (_driver, pid) = idle_worker(&setting).await;
    let status = fs::read_to_string(of(pid, "status")).unwrap();
    for none in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(field(&status, none), "0000000000000000", "{none}");
    }
    assert_eq!((field(&status, "NoNewPrivs:"), field(&status, "Seccomp:")), ("1".into(), "2".into()));
    assert!(field(&status, "Threads:").parse::<u32>().unwrap() <= 2, "{status}");
    if rustix::process::geteuid().is_root() {
        let users = field(&status, "Uid:");
        assert!(users.split_whitespace().all(|user| user.parse::<u32>().unwrap() > 900_000), "{users}");
        assert_eq!(field(&status, "Groups:"), "");
    }
    for namespace in ["mnt", "net", "ipc", "uts", "cgroup", "user"] {
        let [theirs, ours] = [of(pid, "ns"), PathBuf::from("/proc/self/ns")]
            .map(|directory| fs::read_link(directory.join(namespace)).unwrap());
        assert_ne!(theirs, ours, "{namespace}");
    }
    assert_eq!(fs::read_dir(of(pid, "root")).unwrap().count(), 0, "its root is empty");
    let mounts = fs::read_to_string(of(pid, "mounts")).unwrap();
    assert_eq!(mounts.lines().count(), 1, "{mounts}");
    assert!(mounts.contains(" ro,"), "{mounts}");
    let interfaces = fs::read_to_string(of(pid, "net/dev")).unwrap();
    assert_eq!(interfaces.lines().filter(|line| line.contains(':')).count(), 1, "{interfaces}");
    let environment = fs::read(of(pid, "environ")).unwrap();
    assert!(environment.is_empty(), "{environment:?}");
    let limits = fs::read_to_string(of(pid, "limits")).unwrap();
    for (limit, bytes) in
        [("Max data size", "268435456"), ("Max file size", "0"), ("Max core file size", "0")]
    {
        let line = limits.lines().find(|line| line.starts_with(limit)).unwrap();
        assert!(line.split_whitespace().any(|word| word == bytes), "{line}");
    }
}

#[tokio::test]
async fn process_of_a_driver_holds_its_socket_and_its_code_and_nothing_else() {
    let setting = Setting::new("test", "vm1");
    let (_driver, pid) = idle_worker(&setting).await;
    let held: Vec<PathBuf> = fs::read_dir(of(pid, "fd"))
        .unwrap()
        .map(|entry| fs::read_link(entry.unwrap().path()).unwrap())
        .collect();
    let known = |target: &Path| {
        let target = target.to_string_lossy();
        target.starts_with("socket:[") || target.starts_with("/memfd:hostler-driver") || target == "/dev/null"
    };
    assert!(held.iter().all(|target| known(target)), "{held:?}");
    let sockets: std::collections::BTreeSet<_> =
        held.iter().filter(|target| target.to_string_lossy().starts_with("socket:[")).collect();
    assert_eq!(sockets.len(), 1, "one socket, however often: {held:?}");
}

#[tokio::test]
async fn process_of_a_driver_ends_with_it() {
    let setting = Setting::new("test", "vm1");
    let (driver, pid) = idle_worker(&setting).await;
    driver.describe().await.unwrap();
    assert!(of(pid, "stat").exists(), "it is kept for the next operation");
    drop(driver);
    assert!(!of(pid, "stat").exists());
}

#[tokio::test]
async fn process_that_ended_while_idle_is_replaced() {
    let setting = Setting::new("test", "vm1");
    let (driver, pid) = idle_worker(&setting).await;
    kill(pid);
    // It has ended when all of its threads have; it stays to be seen until somebody asks how.
    let threads = || fs::read_dir(of(pid, "task")).unwrap().count();
    while !fs::read_to_string(of(pid, "stat")).unwrap().contains(") Z ") || threads() > 1 {
        std::thread::yield_now();
    }
    let watch = Watch::default();
    let _watching = tracing::subscriber::set_default(watch.clone());
    driver.check(&setting.context()).await.unwrap();
    assert_ne!(watch.process(), pid);
}

#[tokio::test]
async fn tenants_share_no_process() {
    let setting = Setting::new("test", "vm1");
    let runtime = crate::setting::runtime(Place::Apart, hostler_runtime::Limits::default());
    let mut pids = Vec::new();
    let mut users = Vec::new();
    let mut drivers = Vec::new();
    for tenant in [crate::setting::tenant(), crate::setting::neighbour()] {
        let path = crate::setting::component("drivers/test.wasm");
        let driver = runtime.load(&path, &crate::setting::policy(), &tenant).unwrap();
        let watch = Watch::default();
        let _watching = tracing::subscriber::set_default(watch.clone());
        driver.check(&setting.context()).await.unwrap();
        pids.push(watch.process());
        users.push(field(&fs::read_to_string(of(watch.process(), "status")).unwrap(), "Uid:"));
        drivers.push(driver);
    }
    assert_ne!(pids[0], pids[1]);
    assert!(!rustix::process::geteuid().is_root() || users[0] != users[1], "{users:?}");
}

fn assert_killed(error: &RuntimeError, operation: &str) {
    assert_eq!(error.kind, RuntimeErrorKind::Worker, "{error}");
    assert!(error.to_string().starts_with(&format!("driver test 0.1.0, {operation}: ")), "{error}");
    assert!(error.message().contains("SIGKILL"), "{error}");
    assert!(!error.hints().is_empty());
}

#[tokio::test]
async fn process_killed_at_any_host_call_of_a_start_or_a_stop_loses_that_operation_alone() {
    let setting = Setting::new("test", "vm1");
    let context = setting.context();
    let driver = setting.load(Place::Apart, "drivers/test.wasm");
    for operation in ["start", "destroy"] {
        for at in 0.. {
            assert!(at < 100, "{operation} never ends");
            // Whatever a killed operation has left, this brings the domain back.
            match (operation, driver.query(&context).await.unwrap()) {
                ("start", RunState::Running) => driver.destroy(&context).await.unwrap(),
                ("destroy", RunState::Off) => driver.start(&context, &[]).await.unwrap(),
                _ => {}
            }
            let watch = Watch::killing_at(at);
            let ended = {
                let _watching = tracing::subscriber::set_default(watch.clone());
                match operation {
                    "start" => driver.start(&context, &[]).await,
                    _ => driver.destroy(&context).await,
                }
            };
            let calls = watch.calls();
            match ended {
                Err(error) => {
                    assert_killed(&error, operation);
                    assert!(!of(watch.process(), "stat").exists(), "the process is gone");
                }
                Ok(()) if at >= calls.len() => {
                    assert!(at > 1, "every call was one to be killed at");
                    break;
                }
                // Nobody waits for the answer of an event, so that all may have been said by then.
                Ok(()) => assert_eq!((calls[at].1.as_str(), at), ("domain.emit", calls.len() - 1)),
            }
        }
        let expected = if operation == "start" { RunState::Running } else { RunState::Off };
        assert_eq!(driver.query(&context).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn process_of_a_cancelled_call_is_ended() {
    let setting = Setting::new("fault", "loop");
    let driver = setting.load(Place::Apart, "guests/fault.wasm");
    let watch = Watch::default();
    let _watching = tracing::subscriber::set_default(watch.clone());
    let context = setting.context();
    tokio::select! {
        biased;
        ended = driver.start(&context, &[]) => panic!("it ended: {ended:?}"),
        () = async { while watch.calls().is_empty() { tokio::task::yield_now().await } } => {}
    }
    assert!(!of(watch.process(), "stat").exists());
}

both! {
    async fn processor_time_is_counted(place) {
        let setting = Setting::new("fault", "loop");
        let driver = setting.load(place, "guests/fault.wasm");
        driver.start(&setting.context(), &[]).await.unwrap_err();
        let cpu = driver.take_activity().cpu;
        assert!(cpu >= std::time::Duration::from_millis(490), "{cpu:?}");
    }
}
