//! The two daemons: ours, and a libvirtd in namespaces of its own.

use crate::peer::{Peer, processes};
use crate::place::Place;
use anyhow::{Context, Result};
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};

/// Where libvirtd listens, in its own file system.
const PEER_SOCKET: &str = "run/libvirt/libvirt-sock";

/// A daemon that can be ended and begun again.
pub(super) trait Side {
    /// Begins it; clients may have to wait.
    fn begin(&mut self) -> Result<()>;
    /// Ends it.
    fn end(&mut self) -> Result<()>;
    /// Where clients connect.
    fn socket(&self) -> Result<PathBuf>;
    /// Its process.
    fn process(&self) -> Result<u32>;

    /// What it has of the machine's memory, with all that it has started, in KiB: pages of several count in parts.
    fn pss_kib(&self) -> Result<f64> {
        let mut sum = 0.0;
        for pid in family(self.process()?)? {
            let path = format!("/proc/{pid}/smaps_rollup");
            let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
            let line = text.lines().find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix(" kB"));
            sum += line.and_then(|kib| kib.trim().parse::<f64>().ok()).context("no Pss there")?;
        }
        Ok(sum)
    }
}

/// A process and all that came of it.
fn family(first: u32) -> Result<Vec<u32>> {
    let processes = processes()?;
    let mut found = vec![first];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        found.extend(processes.iter().filter(|(_, process)| process.parent == parent).map(|(pid, _)| *pid));
        at += 1;
    }
    Ok(found)
}

/// `hostler serve`.
pub(super) struct Ours<'a> {
    place: &'a Place,
    /// Whether it has the drivers that misbehave, too.
    faults: bool,
    child: Option<Child>,
}

impl<'a> Ours<'a> {
    pub(super) fn new(place: &'a Place) -> Self {
        Self { place, faults: false, child: None }
    }

    /// One with the drivers that misbehave.
    pub(super) fn with_faults(place: &'a Place) -> Self {
        Self { place, faults: true, child: None }
    }
}

impl Side for Ours<'_> {
    fn begin(&mut self) -> Result<()> {
        let (socket, read_only) = (self.socket()?, self.place.work().join("serve-ro.sock"));
        let mut command = self.place.hostler(&["--quiet", "serve", "--socket"]);
        command.arg(socket).arg("--read-only-socket").arg(read_only);
        if self.faults {
            // What is said behind the verb takes the place of what is said before it.
            for directory in ["drivers", "guests"] {
                command.arg("--driver-dir").arg(self.place.components.join(directory));
            }
        }
        let log = fs::File::create(self.place.work().join("serve.log"))?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        self.child = Some(child.context("cannot run hostler serve")?);
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            rustix::process::kill_process(
                rustix::process::Pid::from_child(&child),
                rustix::process::Signal::TERM,
            )?;
            child.wait()?;
        }
        Ok(())
    }

    fn socket(&self) -> Result<PathBuf> {
        Ok(self.place.work().join("serve.sock"))
    }

    fn process(&self) -> Result<u32> {
        Ok(self.child.as_ref().context("hostler serve does not run")?.id())
    }
}

impl Drop for Ours<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("cannot end hostler serve: {error}");
        }
    }
}

/// libvirtd, which the peer has begun already.
pub(super) struct Theirs {
    peer: Peer,
}

impl Theirs {
    pub(super) fn new(peer: Peer) -> Self {
        Self { peer }
    }
}

impl Side for Theirs {
    fn begin(&mut self) -> Result<()> {
        self.peer.ask("begin-daemon").map(drop)
    }

    fn end(&mut self) -> Result<()> {
        self.peer.ask("end-daemon").map(drop)
    }

    fn socket(&self) -> Result<PathBuf> {
        let pid = self.process()?;
        Ok(PathBuf::from(format!("/proc/{pid}/root/{PEER_SOCKET}")))
    }

    fn process(&self) -> Result<u32> {
        self.peer.process("libvirtd")
    }
}
