//! The peer: a libvirtd of our own, in namespaces of its own, so that none on the machine is touched.

use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// Makes the room, starts the daemons, then runs one `virsh` command for each line it reads.
const SCRIPT: &str = include_str!("peer.sh");
/// What has to be installed.
const PROGRAMS: &[&str] = &["libvirtd", "virtlogd", "virsh"];

/// A private libvirtd.
pub(crate) struct Peer {
    process: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    /// Begins; nothing when libvirt is not installed.
    pub(crate) fn begin(work: &Path) -> Result<Option<Self>> {
        let installed = |program: &&str| Command::new(program).arg("--version").output().is_ok();
        if !PROGRAMS.iter().all(installed) {
            return Ok(None);
        }
        // One of its own each time: a run of all benchmarks has several. It goes with what is around it.
        let room = tempfile::Builder::new().prefix("peer-").tempdir_in(work)?.keep();
        let mut process = Command::new("unshare")
            .args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--net", "--ipc"])
            .args(["--propagation", "private", "bash", "-c", SCRIPT, "peer"])
            .arg(&room)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot make namespaces for libvirtd")?;
        let answers = process.stdout.take().context("no answers from the peer")?;
        let commands = process.stdin.take();
        let mut peer = Self { process, commands, answers: BufReader::new(answers) };
        peer.expect("the peer's daemons")?;
        Ok(Some(peer))
    }

    /// One `virsh` command of plain words, which must succeed; from its start to its end.
    pub(crate) fn ask(&mut self, command: &str) -> Result<Duration> {
        let began = Instant::now();
        let commands = self.commands.as_mut().context("the peer has ended")?;
        writeln!(commands, "{command}").context("the peer has ended")?;
        self.expect(command)?;
        Ok(began.elapsed())
    }

    /// The process that was started here and has this name.
    pub(crate) fn process(&self, name: &str) -> Result<u32> {
        let processes = processes()?;
        let ours = |mut pid: u32| {
            while let Some(process) = processes.get(&pid) {
                if process.parent == self.process.id() {
                    return true;
                }
                pid = process.parent;
            }
            false
        };
        let found = processes.iter().find(|(pid, process)| process.name == name && ours(**pid));
        found.map(|(pid, _)| *pid).with_context(|| format!("no {name} runs in the peer"))
    }

    fn expect(&mut self, what: &str) -> Result<()> {
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        if answer.trim() != "0" {
            bail!("{what} failed in the peer, status {:?}", answer.trim());
        }
        Ok(())
    }
}

/// A process of this machine.
pub(crate) struct Process {
    pub(crate) name: String,
    pub(crate) parent: u32,
}

/// All processes, by their numbers.
pub(crate) fn processes() -> Result<BTreeMap<u32, Process>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir("/proc")? {
        let path = entry?.path();
        let pid = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
        let (Some(pid), Ok(stat)) = (pid, std::fs::read_to_string(path.join("stat"))) else { continue };
        // PID (NAME) STATE PARENT; a name may have anything in it.
        let parts = stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')'));
        let Some((name, rest)) = parts else { continue };
        let Some(parent) = rest.split_whitespace().nth(1).and_then(|parent| parent.parse().ok()) else {
            continue;
        };
        found.insert(pid, Process { name: name.to_owned(), parent });
    }
    Ok(found)
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Without input the script ends, and with it everything in its namespaces.
        drop(self.commands.take());
        if let Err(error) = self.process.wait() {
            eprintln!("cannot wait for the peer: {error}");
        }
    }
}
