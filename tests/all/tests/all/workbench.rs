//! One test's own hostler: state directory, images, and the command as a user runs it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use hostler_launch::ProcessRecord;
use hostler_state::{RunDir, RunRecord, StateDir};
use serde_json::Value;
use tempfile::TempDir;

/// How long a guest may take under translation on a loaded machine, in seconds.
pub(crate) const GUEST_SECONDS: &str = "180";

/// How long what a killed command had begun may take to end.
const ENDING: Duration = Duration::from_secs(20);

/// A state directory with images beside it. Whatever still runs is ended when this is dropped.
pub(crate) struct Workbench {
    directory: TempDir,
    /// Variables that every command is run with.
    environment: Vec<(&'static str, OsString)>,
    /// Whether the drivers that misbehave are there too.
    guests: bool,
    /// The network namespace that every command is run in; this process's own when there is none.
    namespace: Option<String>,
}

/// What a command answered.
pub(crate) struct Answer {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Workbench {
    pub(crate) fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("hostler-test-").tempdir().unwrap();
        Self { directory, environment: Vec::new(), guests: true, namespace: None }
    }

    /// One without the drivers that misbehave: commands that look for a driver read fewer of them, which tells where a test
    /// runs many.
    pub(crate) fn of_drivers() -> Self {
        let mut bench = Self::new();
        bench.guests = false;
        bench
    }

    /// Runs every command in this network namespace from now on.
    pub(crate) fn within(&mut self, namespace: &str) {
        self.namespace = Some(namespace.to_owned());
    }

    /// Runs every command in this process's own network namespace from now on.
    pub(crate) fn within_none(&mut self) {
        self.namespace = None;
    }

    /// A program that is run where every command is.
    pub(crate) fn program(&self, program: &std::ffi::OsStr) -> Command {
        let Some(namespace) = &self.namespace else { return Command::new(program) };
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{namespace}")).arg(program);
        command
    }

    /// Runs every command with this variable from now on.
    pub(crate) fn set(&mut self, name: &'static str, value: OsString) {
        self.environment.push((name, value));
    }

    /// A path beside the state directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn state_root(&self) -> PathBuf {
        self.path("state")
    }

    /// The command, ready to run.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.program(built("hostler").as_os_str());
        command.arg("--state-dir").arg(self.state_root()).arg("--driver-dir").arg(components("drivers"));
        if self.guests {
            command.arg("--driver-dir").arg(components("guests"));
        }
        command.env("HOSTLER_CACHE_DIR", cache()).envs(self.environment.iter().cloned());
        command.args(arguments).stdin(Stdio::null()).current_dir(self.directory.path());
        command
    }

    /// Runs the command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Answer {
        Answer::of(self.command(arguments).output().unwrap())
    }

    /// Runs the command, which must succeed, and gives its output.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let answer = self.run(arguments);
        assert_eq!(answer.status, 0, "hostler {}\n{}{}", arguments.join(" "), answer.stdout, answer.stderr);
        answer.stdout
    }

    /// Runs the command with `-o json`, which must succeed.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let mut all = vec!["-o", "json"];
        all.extend_from_slice(arguments);
        let text = self.ok(&all);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in: {text}"))
    }

    /// Writes a file beside the state directory.
    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Defines a domain from a document.
    pub(crate) fn define(&self, xml: &str) {
        let file = self.write("define.xml", xml);
        self.ok(&["define", file.to_str().unwrap()]);
    }

    /// What `list --all` says the domain is doing; `None` when it is not there.
    pub(crate) fn state_of(&self, name: &str) -> Option<String> {
        let list = self.json(&["list", "--all"]);
        let domains = list["domains"].as_array().unwrap().clone();
        let domain = domains.into_iter().find(|domain| domain["name"] == name)?;
        Some(domain["state"].as_str().unwrap().to_owned())
    }

    /// The run directory of a domain.
    pub(crate) fn run_dir(&self, name: &str) -> RunDir {
        let state = StateDir::open_reader(&self.state_root()).unwrap();
        let definition = state.by_name(name).unwrap().unwrap();
        state.run_dir(definition.uuid)
    }

    /// Shims and hypervisors of this workbench, by their command lines: whatever holds a file of its state open and is no
    /// command.
    pub(crate) fn processes(&self) -> Vec<String> {
        let processes = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
        processes
            .filter(|process| self.is_served_by(process))
            .filter_map(|process| command_line(&process))
            .collect()
    }

    /// Processes of this program that have something of this workbench open.
    pub(crate) fn running(&self, program: &str) -> Vec<u32> {
        let processes = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
        let is_program = |process: &PathBuf| {
            std::fs::read_to_string(process.join("comm")).is_ok_and(|name| name.trim() == program)
        };
        let found = processes.filter(is_program).filter(|process| self.is_served_by(process));
        found.filter_map(|process| process.file_name()?.to_str()?.parse().ok()).collect()
    }

    /// What is recorded of the processes of a domain that runs.
    pub(crate) fn process_record(&self, name: &str) -> ProcessRecord {
        self.run_dir(name).read(RunRecord::Process).unwrap().expect("it runs")
    }

    /// Waits until nothing of this workbench runs any more: what a killed command had begun ends by itself, and is seen for a
    /// moment.
    pub(crate) fn nothing_runs(&self, when: &str) {
        let deadline = Instant::now() + ENDING;
        while !self.processes().is_empty() {
            assert!(Instant::now() < deadline, "{when}: {:?}", self.processes());
            std::thread::yield_now();
        }
    }

    fn is_served_by(&self, process: &Path) -> bool {
        let Ok(open) = std::fs::read_dir(process.join("fd")) else { return false };
        let root = self.state_root();
        open.flatten().any(|file| std::fs::read_link(file.path()).is_ok_and(|file| file.starts_with(&root)))
    }

    /// Makes an image with qemu-img.
    pub(crate) fn image(&self, arguments: &[&str]) {
        let output =
            Command::new("qemu-img").args(arguments).current_dir(self.directory.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Workbench {
    fn drop(&mut self) {
        let Ok(state) = StateDir::open_reader(&self.state_root()) else { return };
        for run in state.run_dirs().unwrap_or_default() {
            if run.is_held().unwrap_or(false) {
                let name = run.domain().to_string();
                // A failed test says why by itself; this only keeps it from leaving guests behind.
                self.run(&["destroy", &name]);
            }
        }
    }
}

impl Answer {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// The command line of a process; `None` of one that has ended, and of the command under test and what watches it.
fn command_line(process: &Path) -> Option<String> {
    let words = std::fs::read(process.join("cmdline")).ok()?;
    let line = String::from_utf8_lossy(&words).replace('\0', " ");
    (!line.is_empty() && !line.contains("hostler --state-dir")).then_some(line)
}

/// A program of this build.
pub(crate) fn built(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let path = own.parent().and_then(Path::parent).unwrap().join(name);
    assert!(path.is_file(), "{} is not built; run: cargo xtask test", path.display());
    path
}

/// Compiled drivers, shared by all tests: compiling is tested where the cache is.
fn cache() -> PathBuf {
    default_target().join("test-cache")
}

/// A directory of built components.
pub(crate) fn components(kind: &str) -> PathBuf {
    let path = std::env::var_os("HOSTLER_COMPONENTS").map_or_else(default_target, PathBuf::from).join(kind);
    assert!(path.is_dir(), "{} is not there; run: cargo xtask components", path.display());
    path
}

/// A file of the test guest.
pub(crate) fn guest(name: &str) -> PathBuf {
    let directory =
        std::env::var_os("HOSTLER_TEST_GUEST").map_or_else(|| default_target().join("guest"), PathBuf::from);
    let path = directory.join(name);
    assert!(path.is_file(), "{} is not there; run: cargo xtask guest", path.display());
    path
}

/// The target directory: above the directory of this build's profile.
fn default_target() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.ancestors().nth(3).unwrap().to_owned()
}

/// Whether KVM answers here. Tests that need it say so when it does not.
pub(crate) fn kvm_answers() -> bool {
    hostler_launch::accelerator::probe_kvm().api_version.is_some()
}

/// A domain of the driver that runs nothing but a record of it.
pub(crate) const QUIET: &str = "<domain type='test'>
  <name>quiet</name>
  <memory unit='MiB'>64</memory>
  <vcpu>1</vcpu>
  <os><type>hvm</type></os>
</domain>
";

/// Waits until it is so; a minute is more than a loaded machine takes.
pub(crate) fn until(what: &str, so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(Instant::now() < end, "not within a minute: {what}");
        std::thread::yield_now();
    }
}

/// Kills a process with `SIGKILL`.
pub(crate) fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

/// Such a document without its ROM: its guest boots what firmware finds.
pub(crate) fn without_rom(xml: &str) -> String {
    let (before, rest) = xml.split_once("<loader").unwrap();
    format!("{before}{}", rest.split_once("</loader>").unwrap().1)
}

/// A machine without disks whose whole guest is the ROM of `cargo xtask guest`.
pub(crate) fn rom_domain(name: &str, kind: &str) -> String {
    format!(
        "<domain type='{kind}'>
  <name>{name}</name>
  <memory unit='MiB'>32</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <loader type='rom'>{rom}</loader>
  </os>
  <features><acpi/></features>
  <devices>
    <serial type='pty'/>
    <memballoon model='none'/>
  </devices>
</domain>
",
        rom = guest("rom.bin").display()
    )
}
