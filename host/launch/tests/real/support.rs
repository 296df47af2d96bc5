//! A domain of a test: a state directory of its own, plans, and the shim that was just built.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hostler_launch::{
    CageSetting, EndpointKind, EndpointSpec, Handle, LaunchContext, LaunchError, OptionEntry, Plan, Reaction,
    Role, ShimClient, Template, TemplateSet, Value, check, launch,
};
use hostler_state::{Owner, RunDir, StateDir, Uuid};

/// Longer than anything here takes on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// One domain. Its hypervisor is ended when the test is over, however it went.
pub(crate) struct Domain {
    pub(crate) root: tempfile::TempDir,
    pub(crate) owner: Owner,
    pub(crate) run: RunDir,
    pub(crate) plan: Plan,
    pub(crate) handles: Vec<Handle>,
}

impl Domain {
    /// A machine without guest, paused, with a monitor. Handle 0 is the monitor.
    pub(crate) fn new(machine: &str) -> Self {
        Self::of("qemu-system-x86_64", base_options(machine))
    }

    /// A launch of another program. Handle 0 is the monitor.
    pub(crate) fn of(template: &str, options: Vec<OptionEntry>) -> Self {
        let root = tempfile::tempdir().unwrap();
        let owner = StateDir::open_owner(&root.path().join("state"), Duration::ZERO).unwrap();
        let run = owner.create_run_dir(Uuid::new_v4()).unwrap();
        let plan = Plan { template: template.into(), options, environment: vec![], reactions: vec![] };
        Self { root, owner, run, plan, handles: vec![Handle::Monitor] }
    }

    pub(crate) fn option(&mut self, name: &str, value: Value) {
        self.plan.options.push(OptionEntry { name: name.into(), value: Some(value) });
    }

    /// Adds a handle and gives its index as a value.
    pub(crate) fn handle(&mut self, handle: Handle) -> Value {
        self.handles.push(handle);
        Value::Handle(self.handles.len() - 1)
    }

    /// A serial port that the shim keeps.
    pub(crate) fn serial(&mut self, alias: &str) {
        let spec = EndpointSpec { alias: alias.into(), kind: EndpointKind::Pty };
        let backend = self.handle(Handle::Endpoint(spec));
        let chardev = format!("char{alias}");
        self.option("chardev", Value::mapping([("backend", backend), ("id", chardev.as_str().into())]));
        let device =
            [("driver", "isa-serial".into()), ("chardev", chardev.as_str().into()), ("id", alias.into())];
        self.option("device", Value::mapping::<&str>(device));
    }

    pub(crate) fn react(&mut self, event: &str, command: &str) {
        self.plan.reactions.push(Reaction { event: event.into(), commands: vec![command.into()] });
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn start(&mut self) -> ShimClient {
        let log = self.run.log_path();
        self.try_start().unwrap_or_else(|error| {
            panic!("{error:?}; log: {}", std::fs::read_to_string(log).unwrap_or_default())
        })
    }

    pub(crate) fn try_start(&mut self) -> Result<ShimClient, LaunchError> {
        self.try_start_within(PATIENCE)
    }

    pub(crate) fn try_start_within(&mut self, deadline: Duration) -> Result<ShimClient, LaunchError> {
        let checked = check(&self.plan, &self.handles, &template(&self.plan.template))?;
        launch(&self.run, &context(), checked, vec![], std::mem::take(&mut self.handles), deadline)
    }
}

impl Drop for Domain {
    fn drop(&mut self) {
        if let Ok(client) = ShimClient::connect(&self.run) {
            client.end(false, PATIENCE).ok();
        } else {
            hostler_launch::end_orphan(&self.run).ok();
        }
    }
}

pub(crate) fn context() -> LaunchContext {
    LaunchContext {
        limits: Vec::new(),
        shim: env!("CARGO_BIN_EXE_hostler-shim").into(),
        domain_name: "test".into(),
        cage: CageSetting::Require,
    }
}

pub(crate) fn qemu() -> Arc<Template> {
    template("qemu-system-x86_64")
}

/// A template that ships.
pub(crate) fn template(name: &str) -> Arc<Template> {
    Arc::clone(TemplateSet::builtin().unwrap().get(name).unwrap())
}

fn base_options(machine: &str) -> Vec<OptionEntry> {
    let monitor = [("backend", Value::Handle(0)), ("id", "charmonitor".into())];
    let mon = [("chardev", "charmonitor".into()), ("id", "monitor".into()), ("mode", "control".into())];
    let sandbox = [
        ("enable", true.into()),
        ("obsolete", "deny".into()),
        ("elevateprivileges", "deny".into()),
        ("spawn", "deny".into()),
        ("resourcecontrol", "deny".into()),
    ];
    vec![
        OptionEntry::new(
            "name",
            Value::mapping::<&str>([("guest", "a,b=c".into()), ("debug-threads", true.into())]),
        ),
        OptionEntry::flag("S"),
        OptionEntry::new("machine", Value::mapping([("type", Value::from(machine))])),
        OptionEntry::new("accel", "tcg"),
        OptionEntry::new("m", Value::mapping([("size", Value::Integer(64))])),
        OptionEntry::new("display", "none"),
        OptionEntry::flag("no-user-config"),
        OptionEntry::flag("nodefaults"),
        OptionEntry::new("chardev", Value::mapping(monitor)),
        OptionEntry::new("mon", Value::mapping::<&str>(mon)),
        OptionEntry::flag("no-shutdown"),
        OptionEntry::new("sandbox", Value::mapping(sandbox)),
    ]
}

/// A handle of a raw image on an opened file.
pub(crate) fn image(path: &Path, writable: bool) -> Handle {
    let file = std::fs::OpenOptions::new().read(true).write(writable).open(path).unwrap();
    let fd = Some(OwnedFd::from(file));
    Handle::Descriptor {
        fd,
        writable,
        role: Role::Image,
        format: "raw",
        data_apart: false,
        path: path.to_owned(),
    }
}

/// The process's descriptors: number and what it is.
pub(crate) fn descriptors(pid: u32) -> Vec<(u32, String)> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().map(Result::unwrap);
    let open = entries.filter_map(|entry| {
        let number = entry.file_name().to_str()?.parse().ok()?;
        Some((number, std::fs::read_link(entry.path()).ok()?.display().to_string()))
    });
    open.collect()
}

/// One line of `/proc/<pid>/status`.
pub(crate) fn status_line(pid: u32, name: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_once(':').unwrap().1.trim().to_owned()
}

/// Kills a process and waits until it is gone.
pub(crate) fn kill(pid: u32) {
    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
    let pidfd = pidfd_open(Pid::from_raw(pid as i32).unwrap(), PidfdFlags::empty()).unwrap();
    pidfd_send_signal(&pidfd, Signal::KILL).unwrap();
    let mut watched = [rustix::event::PollFd::new(&pidfd, rustix::event::PollFlags::IN)];
    rustix::event::poll(&mut watched, None).unwrap();
}

/// The shim's process number, from its record.
pub(crate) fn shim_pid(run: &RunDir) -> u32 {
    let record: hostler_launch::shim::record::ProcessRecord =
        run.read(hostler_state::RunRecord::Process).unwrap().unwrap();
    record.shim.pid
}
