//! A daemon of one test's own, and the clients that are unmodified.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::workbench::{Answer, Workbench};

/// How long a daemon may take to be there, drivers compiled.
const READY_WAIT: Duration = Duration::from_secs(180);

/// `hostler serve` over a workbench's state directory. Ended, with a signal, when this is dropped.
pub(crate) struct Daemon<'a> {
    bench: &'a Workbench,
    child: Child,
    socket: PathBuf,
}

impl<'a> Daemon<'a> {
    /// Starts it, and waits until it says that clients can come.
    pub(crate) fn start(bench: &'a Workbench) -> Self {
        Self::start_with(bench, &[])
    }

    pub(crate) fn start_with(bench: &'a Workbench, options: &[&str]) -> Self {
        let notices = bench.path("notices");
        std::fs::remove_file(&notices).ok();
        let notified = UnixDatagram::bind(&notices).unwrap();
        notified.set_read_timeout(Some(READY_WAIT)).unwrap();
        let socket = bench.path("s");
        let read_only = bench.path("r");
        let mut arguments = vec!["serve", "--socket", socket.to_str().unwrap()];
        arguments.extend(["--read-only-socket", read_only.to_str().unwrap()]);
        arguments.extend(options);
        let log = std::fs::File::create(bench.path("daemon.log")).unwrap();
        let child = bench.command(&arguments).env("NOTIFY_SOCKET", &notices).stderr(log).spawn().unwrap();
        let mut daemon = Self { bench, child, socket };
        let mut notice = [0; 64];
        let length = notified.recv(&mut notice).unwrap_or_else(|error| {
            let (ended, log) = (daemon.child.try_wait(), std::fs::read_to_string(bench.path("daemon.log")));
            panic!("the daemon does not say that it is ready: {error}; {ended:?}; {log:?}")
        });
        assert_eq!(&notice[..length], b"READY=1");
        daemon
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// How a client gets there.
    pub(crate) fn uri(&self) -> String {
        format!("hostler:///system?socket={}", self.socket.display())
    }

    /// How a client gets to the socket for reading.
    pub(crate) fn read_only_uri(&self) -> String {
        format!("hostler:///system?socket={}", self.bench.path("r").display())
    }

    /// Runs virsh to its end.
    pub(crate) fn virsh(&self, arguments: &[&str]) -> Answer {
        virsh(&self.uri(), arguments)
    }

    /// Runs virsh, which must succeed, and gives its output without empty lines.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let answer = self.virsh(arguments);
        assert_eq!(answer.status, 0, "virsh {}\n{}{}", arguments.join(" "), answer.stdout, answer.stderr);
        answer.stdout.trim().to_owned()
    }

    /// Runs a script in Python with `connection` open, which must succeed, and gives its output.
    pub(crate) fn python(&self, script: &str) -> String {
        let mut command = python();
        let answer = Answer::of(command.arg("-c").arg(whole(script)).arg(self.uri()).output().unwrap());
        assert_eq!(answer.status, 0, "{}{}", answer.stdout, answer.stderr);
        answer.stdout
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// What it has said.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.bench.path("daemon.log")).unwrap()
    }

    /// Waits until it has said this.
    pub(crate) fn wait_for_log(&mut self, text: &str) {
        while !self.log().contains(text) {
            assert!(self.child.try_wait().unwrap().is_none(), "{}", self.log());
            std::thread::yield_now();
        }
    }

    /// Kills it at this time from now, as nothing can prevent.
    pub(crate) fn killed_after(mut self, time: Duration) {
        let process = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty()).unwrap();
        let mut polled = [PollFd::new(&process, PollFlags::IN)];
        let ended = poll(&mut polled, Some(&Timespec::try_from(time).unwrap())).unwrap() > 0;
        let log = std::fs::read_to_string(self.bench.path("daemon.log"));
        assert!(!ended, "the daemon has ended by itself: {log:?}");
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end and waits until it has.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            kill_process(Pid::from_child(&self.child), Signal::TERM).ok();
            self.child.wait().ok();
        }
    }
}

/// Another user than the one who runs the tests. Tests that need one say so when they cannot have any.
#[derive(Clone, Copy)]
pub(crate) struct Stranger(pub(crate) u32);

impl Stranger {
    /// Whether this process may act as others; lets them get to the sockets of a workbench.
    pub(crate) fn can_come(bench: &Workbench) -> bool {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: only root can run a command as somebody else");
            return false;
        }
        let place = bench.path("");
        std::fs::set_permissions(place, std::fs::Permissions::from_mode(0o711)).unwrap();
        true
    }

    fn program(self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        let (uid, gid) = (format!("--reuid={}", self.0), format!("--regid={}", self.0));
        command.args([&uid, &gid, "--clear-groups", "--", program]).current_dir("/").stdin(Stdio::null());
        command.env("HOME", "/nonexistent");
        command
    }

    /// Runs virsh as this user to its end.
    pub(crate) fn virsh(self, uri: &str, arguments: &[&str]) -> Answer {
        Answer::of(self.program("virsh").arg("-c").arg(uri).args(arguments).output().unwrap())
    }

    /// Runs a script in Python as this user, which must succeed, and gives its output.
    pub(crate) fn python(self, uri: &str, script: &str) -> String {
        let mut command = self.program("/usr/bin/python3");
        let answer = Answer::of(command.arg("-c").arg(whole(script)).arg(uri).output().unwrap());
        assert_eq!(answer.status, 0, "{}{}", answer.stdout, answer.stderr);
        answer.stdout
    }

    /// Starts a script in Python as this user that opens nothing by itself.
    pub(crate) fn start(self, script: &str, argument: &Path) -> Child {
        let mut command = self.program("/usr/bin/python3");
        command
            .arg("-c")
            .arg(script)
            .arg(argument)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

/// A script with what they all begin with: `connection`, and `number`, which tells the number of the error of a call.
fn whole(script: &str) -> String {
    format!(
        "import libvirt, sys
libvirt.registerErrorHandler(lambda *_: None, None)
def number(call):
    try:
        call()
        return 0
    except libvirt.libvirtError as error:
        return error.get_error_code()
connection = libvirt.open(sys.argv[1])
{script}"
    )
}

/// Runs virsh to its end.
pub(crate) fn virsh(uri: &str, arguments: &[&str]) -> Answer {
    Answer::of(
        Command::new("virsh").arg("-c").arg(uri).args(arguments).stdin(Stdio::null()).output().unwrap(),
    )
}

fn python() -> Command {
    // Debian's own: others do not have its modules.
    Command::new("/usr/bin/python3")
}

/// Whether the clients are installed. Tests that need them say so when they are not.
pub(crate) fn clients_are_here() -> bool {
    let runs = |command: &mut Command| {
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    let here = runs(Command::new("virsh").arg("--version")) && runs(python().args(["-c", "import libvirt"]));
    if !here {
        eprintln!("skipped: libvirt-clients or python3-libvirt is not installed; run: cargo xtask setup");
    }
    here
}

/// Starts a daemon as a service manager does that has opened its sockets: the first for everything, the second for reading.
pub(crate) fn start_with_sockets(bench: &Workbench, full: &Path, read_only: &Path) -> Child {
    const SCRIPT: &str = "import os, socket, sys
sockets = []
for number, path in enumerate(sys.argv[1:3], 3):
    own = socket.socket(socket.AF_UNIX)
    own.bind(path)
    own.listen()
    sockets.append(own)
for number, own in enumerate(sockets, 3):
    os.dup2(own.fileno(), number + 10)
for number in range(len(sockets)):
    os.dup2(number + 13, number + 3)
os.environ.update(LISTEN_FDS='2', LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[3], sys.argv[3:])";
    let serve = bench.command(&["serve"]);
    let mut command = python();
    command.arg("-c").arg(SCRIPT).args([full, read_only]).arg(serve.get_program()).args(serve.get_args());
    command.envs(serve.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Whether virt-install is there too.
pub(crate) fn virt_install_is_here() -> bool {
    let version =
        Command::new("virt-install").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let here = version.is_ok_and(|status| status.success());
    if !here {
        eprintln!("skipped: virtinst is not installed; run: cargo xtask setup");
    }
    here
}
