//! A machine to install packages on: a real systemd in a container, over this machine's files, of which it changes none.

use crate::shell;
use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, File};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What is done before `systemd-nspawn` is run.
const SCRIPT: &str = include_str!("machine.sh");
/// How long it may take to boot.
const BOOT_WAIT: Duration = Duration::from_secs(90);
/// How often it is looked whether it still does.
const LOOK: Duration = Duration::from_secs(1);
/// How long one command in it may take.
const COMMAND_SECONDS: &str = "180";
/// Lines of its console in an error.
const CONSOLE_LINES: usize = 15;
/// How its first process is named to who started it (systemd-nspawn(1), --notify-ready).
const LEADER: &str = "X_NSPAWN_LEADER_PID=";

/// It runs until this is dropped; nothing of it is left then.
pub(super) struct Machine {
    container: Child,
    /// Its first process, as this machine counts them.
    leader: Option<u32>,
    /// Its groups of processes.
    name: String,
    console: PathBuf,
}

impl Machine {
    /// Boots one; `place` is an empty directory, and `shared` are files of this machine with their places in the other.
    ///
    /// # Errors
    /// When it does not boot; the end of its console is in the error.
    pub(super) fn boot(place: &Path, shared: &[(&Path, &str)]) -> Result<Self> {
        let user = shell::read(Command::new("id").arg("-u"))?;
        ensure!(user.trim() == "0", "only root can boot a container");
        let talk = tempfile::tempdir()?;
        let address = talk.path().join("notices");
        let notices = UnixDatagram::bind(&address).context("cannot listen for the machine's notices")?;
        notices.set_read_timeout(Some(LOOK))?;
        let console = place.with_extension("console");
        let log = File::create(&console)?;
        let name = format!("hostler-dist-{}", std::process::id());
        // Killed with this process, if it is killed.
        let mut launch = Command::new("setpriv");
        launch.args(["--pdeathsig", "TERM", "unshare", "--mount", "--propagation", "private", "sh", "-c"]);
        launch.args([SCRIPT, "machine"]).arg(place).arg(&name).args(options(&name, shared));
        launch.env("NOTIFY_SOCKET", &address).env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1");
        launch.env("SYSTEMD_NSPAWN_API_VFS_WRITABLE", "network");
        launch.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let container = launch.spawn().context("cannot run setpriv")?;
        let mut machine = Self { container, leader: None, name, console };
        machine.wait_until_ready(&notices)?;
        Ok(machine)
    }

    fn wait_until_ready(&mut self, notices: &UnixDatagram) -> Result<()> {
        let until = Instant::now() + BOOT_WAIT;
        let mut notice = [0; 4096];
        loop {
            let Ok(length) = notices.recv(&mut notice) else {
                if Instant::now() < until && self.container.try_wait()?.is_none() {
                    continue;
                }
                let text = fs::read_to_string(&self.console).unwrap_or_default();
                let lines: Vec<&str> = text.lines().collect();
                let last = lines.get(lines.len().saturating_sub(CONSOLE_LINES)..).unwrap_or_default();
                bail!("the machine does not boot; its console ends with\n{}", last.join("\n"));
            };
            let text = String::from_utf8_lossy(notice.get(..length).unwrap_or_default()).into_owned();
            if let Some(leader) = text.lines().find_map(|line| line.strip_prefix(LEADER)) {
                self.leader = Some(leader.parse().context("the machine's first process has no number")?);
            }
            if text.lines().any(|line| line == "READY=1") {
                return Ok(());
            }
        }
    }

    /// A command as root types it in the machine, without anything of this process's environment.
    pub(super) fn command(&self, words: &[&str]) -> Result<Command> {
        let leader = self.leader.context("the machine has not booted")?;
        let mut command = Command::new("nsenter");
        command.args(["--all", "--target", &leader.to_string(), "env", "-i", "--chdir=/", "LC_ALL=C"]);
        command.args(["HOME=/root", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]);
        command.args(["timeout", "--kill-after=10", COMMAND_SECONDS]).args(words);
        Ok(command)
    }

    /// Runs a command in the machine, which must succeed, and gives what it says.
    ///
    /// # Errors
    /// When it fails; what it said is in the error.
    pub(super) fn run(&self, words: &[&str]) -> Result<String> {
        shell::read(&mut self.command(words)?).map(|said| said.trim().to_owned())
    }

    /// Runs a command in the machine, which must fail, and gives all that it says.
    ///
    /// # Errors
    /// When it succeeds.
    pub(super) fn refused(&self, words: &[&str]) -> Result<String> {
        let output = self.command(words)?.stdin(Stdio::null()).output()?;
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        if output.status.success() {
            bail!("'{}' should be refused, and is done: {said}", words.join(" "));
        }
        Ok(said)
    }

    /// A property of a unit.
    ///
    /// # Errors
    /// When systemd does not answer.
    pub(super) fn property(&self, unit: &str, name: &str) -> Result<String> {
        self.run(&["systemctl", "show", "--value", "--property", name, unit])
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // All processes in it go with the first one. It may have ended before.
        let end = self.leader.unwrap_or_else(|| self.container.id()).to_string();
        shell::succeeds(Command::new("kill").args(["-KILL", &end]));
        if let Err(error) = self.container.wait() {
            eprintln!("cannot wait for the machine: {error}");
        }
        let groups = "for group in /sys/fs/cgroup/*/\"$1\" /sys/fs/cgroup/\"$1\"; do \
                      [ ! -d \"$group\" ] || find \"$group\" -depth -type d -exec rmdir {} +; done";
        if !shell::succeeds(Command::new("sh").args(["-c", groups, "sh", &self.name])) {
            eprintln!("groups of processes called {} are left in /sys/fs/cgroup", self.name);
        }
    }
}

/// What `systemd-nspawn` is told.
fn options(name: &str, shared: &[(&Path, &str)]) -> Vec<String> {
    let mut options: Vec<String> = [
        "--boot",
        "--register=no",
        "--keep-unit",
        "--link-journal=no",
        "--notify-ready=yes",
        "--console=pipe",
        // Networks of its own, and the right to make some.
        "--private-network",
        // systemd decides about devices by programs for the kernel, and hostler about files by Landlock.
        "--system-call-filter=bpf landlock_create_ruleset landlock_add_rule landlock_restrict_self",
    ]
    .map(str::to_owned)
    .to_vec();
    options.push(format!("--machine={name}"));
    if Path::new("/dev/kvm").exists() {
        options.push("--bind=/dev/kvm".to_owned());
    }
    for (outside, inside) in shared {
        options.push(format!("--bind-ro={}:{inside}", outside.display()));
    }
    // Nothing of what else this machine would start.
    options.push("systemd.unit=basic.target".to_owned());
    options
}
