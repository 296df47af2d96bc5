//! The limit: the hypervisor's command line run by a script that knows everything already.

use crate::place::{Place, output};
use crate::qmp::Monitor;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a hypervisor may take until its monitor is there.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two tries to reach the monitor.
const RETRY: Duration = Duration::from_micros(200);
/// What belongs to the host's own monitor and must be left out.
const MONITOR_WORDS: &[&str] = &["monitor", "masterKey0"];

/// The command line that `hostler start` would run, without its monitor and with the guest stopped.
pub(crate) fn command_line(place: &Place, domain: &str) -> Result<Vec<String>> {
    let text = output(&mut place.hostler(&["-o", "json", "native", domain])).context("hostler native")?;
    let value: Value = serde_json::from_str(&text).context("hostler native: not JSON")?;
    let words = value.get("argv").and_then(Value::as_array).context("hostler native: no argv")?;
    let words: Vec<String> = words.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    Ok(without_monitor(&words))
}

fn without_monitor(words: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        let takes_out = ["-chardev", "-mon", "-qmp", "-object"].contains(&word.as_str())
            && words.peek().is_some_and(|value| MONITOR_WORDS.iter().any(|own| value.contains(own)));
        match takes_out {
            true => drop(words.next()),
            false if word == "-S" => {}
            false => kept.push(word.clone()),
        }
    }
    kept.push("-S".to_owned());
    kept
}

/// A hypervisor that nobody manages.
pub(crate) struct Guest {
    process: Child,
    pub(crate) monitor: Monitor,
}

impl Guest {
    /// Starts one, stopped, and makes itself known to its monitor.
    pub(crate) fn start(argv: &[String], more: &[&str], work: &Path) -> Result<Self> {
        let socket = socket_in(work);
        if socket.exists() {
            fs::remove_file(&socket)?;
        }
        let (program, arguments) = argv.split_first().context("an empty command line")?;
        let mut process = Command::new(program)
            .args(arguments)
            .args(more)
            .args(["-chardev", &format!("socket,id=bare,path={},server=on,wait=off", socket.display())])
            .args(["-mon", "chardev=bare,mode=control"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot run {program}"))?;
        match connect(&mut process, &socket).and_then(Monitor::greet) {
            Ok(monitor) => Ok(Self { process, monitor }),
            Err(error) => {
                process.kill()?;
                process.wait()?;
                Err(error)
            }
        }
    }

    /// Lets go of its monitor; it runs on.
    pub(crate) fn let_go(self) -> Child {
        self.process
    }

    /// Makes itself known to the monitor of one that runs, and is told that it does.
    pub(crate) fn attach(mut process: Child, work: &Path) -> Result<Self> {
        let monitor = connect(&mut process, &socket_in(work)).and_then(Monitor::greet)?;
        let mut guest = Self { process, monitor };
        guest.is_running()?;
        Ok(guest)
    }

    fn is_running(&mut self) -> Result<()> {
        let status = self.monitor.execute("query-status")?;
        if status.get("status").and_then(Value::as_str) != Some("running") {
            bail!("the guest does not run: {status}");
        }
        Ok(())
    }

    /// Lets it run.
    pub(crate) fn go(&mut self) -> Result<()> {
        self.monitor.execute("cont")?;
        self.is_running()
    }

    /// Kills it and waits until it is gone.
    pub(crate) fn end(mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }
}

/// Starts it once: from the spawn to the monitor's word that the guest runs.
pub(crate) fn start_once(argv: &[String], work: &Path) -> Result<Duration> {
    let began = Instant::now();
    let mut guest = Guest::start(argv, &[], work)?;
    let running = guest.go();
    let took = began.elapsed();
    guest.end()?;
    running.map(|()| took)
}

fn socket_in(work: &Path) -> PathBuf {
    work.join("bare.sock")
}

fn connect(process: &mut Child, socket: &Path) -> Result<UnixStream> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Ok(stream) = UnixStream::connect(socket) {
            return Ok(stream);
        }
        if let Some(status) = process.try_wait()? {
            bail!("the hypervisor ended: {status}");
        }
        if Instant::now() > deadline {
            bail!("no monitor after {} s", PATIENCE.as_secs());
        }
        thread::sleep(RETRY);
    }
}

#[cfg(test)]
mod tests {
    use super::without_monitor;

    #[test]
    fn only_the_host_s_monitor_is_left_out() {
        let words = [
            "q",
            "-S",
            "-chardev",
            "socket,id=monitor,fd=3",
            "-mon",
            "chardev=charmonitor",
            "-chardev",
            "pty,id=a",
        ];
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        assert_eq!(without_monitor(&words), ["q", "-chardev", "pty,id=a", "-S"]);
    }
}
