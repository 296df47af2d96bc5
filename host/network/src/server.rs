//! The dnsmasq of a network: started, found again by what it was started with, and ended.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::dnsmasq::USER;
use crate::error::{ErrorKind, NetworkError};
use crate::firewall::{program, said};
use crate::plan::Places;

/// How long it may take to end when it is asked to.
const END_WAIT: Duration = Duration::from_secs(3);

/// Starts it. When this returns it has its sockets, or it has said what is wrong.
pub(crate) fn start(settings: &str, places: &Places) -> Result<(), NetworkError> {
    let dnsmasq = program("dnsmasq", "dnsmasq-base")?;
    write(&places.settings, settings)
        .map_err(|error| NetworkError::io("write", places.settings.display(), error))?;
    let mut command = Command::new(dnsmasq);
    command.arg(argument(&places.settings));
    // What it is once it has its sockets: nothing of root's but the right to set up addresses.
    command.arg(format!("--user={}", user()));
    command.arg(format!("--pid-file={}", places.settings.with_extension("pid").display()));
    let output = command
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .map_err(|error| NetworkError::io("run", "dnsmasq", error))?;
    if output.status.success() {
        return Ok(());
    }
    let message = format!("dnsmasq did not start: {}", said(&output.stderr));
    Err(NetworkError::new(ErrorKind::Io, "network.dnsmasq", message)
        .hint_command("see whether another server has its ports", "ss -lunp sport = 53 or sport = 67"))
}

/// Whether it runs.
fn runs(places: &Places) -> Result<bool, NetworkError> {
    let found = find(&places.settings).map_err(|error| NetworkError::io("look at", "/proc", error))?;
    Ok(!found.is_empty())
}

/// Whether it runs with these settings, and not with others of the same network.
pub(crate) fn runs_with(settings: &str, places: &Places) -> Result<bool, NetworkError> {
    let same = std::fs::read(&places.settings).is_ok_and(|written| written == settings.as_bytes());
    Ok(same && runs(places)?)
}

/// Ends it; one that has ended has ended.
pub(crate) fn stop(places: &Places) -> Result<(), NetworkError> {
    let end = || -> io::Result<()> {
        for pid in find(&places.settings)? {
            end(pid, &places.settings)?;
        }
        Ok(())
    };
    end().map_err(|error| NetworkError::io("end", "dnsmasq", error))?;
    for file in [places.settings.clone(), places.settings.with_extension("pid")] {
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(NetworkError::io("remove", file.display(), error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// What it is started with, and known by: no other process has the settings of this network.
fn argument(settings: &Path) -> String {
    format!("--conf-file={}", settings.display())
}

fn user() -> &'static str {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let known = users.lines().any(|line| line.split(':').next() == Some(USER));
    if known { USER } else { "nobody" }
}

/// Replaces the file at once.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let draft = path.with_extension("new");
    std::fs::write(&draft, text)?;
    std::fs::rename(draft, path)
}

/// The processes with these settings.
fn find(settings: &Path) -> io::Result<Vec<Pid>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw) else {
            continue;
        };
        if is_told(pid, settings) {
            found.push(pid);
        }
    }
    Ok(found)
}

/// Whether a process was started with these settings. One that is gone was not, and one that waits to be forgotten has no
/// arguments any more.
fn is_told(pid: Pid, settings: &Path) -> bool {
    let line = std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
    let mut words = line.split(|byte| *byte == 0);
    let is_dnsmasq = words.next().is_some_and(|program| program.ends_with(b"dnsmasq"));
    is_dnsmasq && words.any(|word| word == argument(settings).as_bytes())
}

fn end(pid: Pid, settings: &Path) -> io::Result<()> {
    let process = match pidfd_open(pid, PidfdFlags::empty()) {
        Err(rustix::io::Errno::SRCH) => return Ok(()),
        opened => opened?,
    };
    // What has the number now may be another process: the descriptor is of one, and that one is asked.
    if !is_told(pid, settings) {
        return Ok(());
    }
    for signal in [Signal::TERM, Signal::KILL] {
        match pidfd_send_signal(&process, signal) {
            Err(rustix::io::Errno::SRCH) => return Ok(()),
            sent => sent?,
        }
        let until = Instant::now() + END_WAIT;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let wait = Timespec::try_from(left).unwrap_or_default();
            let mut ended = [PollFd::new(&process, PollFlags::IN)];
            match poll(&mut ended, Some(&wait)) {
                Ok(0) => break,
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Err(io::Error::from(io::ErrorKind::TimedOut))
}
