//! `agent exec`: a program that the agent of a guest runs.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hostler_state::Definition;
use serde_json::{Map, Value, json};

use crate::agent::{ANSWER_WAIT, shown};
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::reference::DomainRef;

/// How long the agent may take for an answer with all that a program has written.
const OUTPUT_WAIT: Duration = Duration::from_secs(60);
/// Longest such answer, in bytes: QEMU's agent keeps 16 MiB of each stream, which are a third more as they are sent.
const OUTPUT_BYTES: usize = 48 << 20;
/// Between one question whether it has ended and the next, at first and at most: an agent tells nobody by itself.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A program to be run in a guest.
#[derive(Clone, Debug, Default)]
pub struct GuestProgram {
    /// Its path there, or a name that is looked up there.
    pub path: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its environment in place of the agent's, as `NAME=VALUE`; the agent's when there is none.
    pub environment: Vec<String>,
    /// What it reads.
    pub input: Option<Vec<u8>>,
}

/// A program of a guest that has ended. What it wrote is the guest's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestProgramEnded {
    /// The domain.
    pub name: String,
    /// The number of its process in the guest.
    pub pid: u64,
    /// What it ended with; nothing when a signal ended it.
    pub exit_code: Option<u64>,
    /// The signal that ended it.
    pub signal: Option<u64>,
    /// What it wrote to its standard output.
    pub stdout: Vec<u8>,
    /// Whether the agent did not keep all of that.
    pub stdout_is_cut: bool,
    /// What it wrote to its standard error.
    pub stderr: Vec<u8>,
    /// Whether the agent did not keep all of that.
    pub stderr_is_cut: bool,
}

impl Host {
    /// Runs a program in the guest of a domain by its agent, and waits for its end until this time is over. Others can speak to
    /// the agent meanwhile. Takes no lock.
    ///
    /// # Errors
    /// As for [`Host::agent_ping`]; what the agent refuses; [`Kind::TimedOut`] when the program runs on.
    pub async fn agent_exec(
        &self,
        wanted: &DomainRef,
        program: &GuestProgram,
        wait: Duration,
    ) -> Result<GuestProgramEnded, Error> {
        let definition = self.find(wanted)?;
        let until = Instant::now() + wait;
        let arguments = arguments(program);
        let begun =
            self.with_agent(&definition, ANSWER_WAIT, |agent| agent.call("guest-exec", Some(arguments)));
        let begun = begun.await?;
        let pid =
            begun.get("pid").and_then(Value::as_u64).ok_or_else(|| nonsense(&definition, "no process"))?;
        let mut pause = FIRST_PAUSE;
        loop {
            let asked = self.with_agent(&definition, OUTPUT_WAIT, move |agent| {
                agent.take_up_to(OUTPUT_BYTES);
                agent.call("guest-exec-status", Some(json!({"pid": pid})))
            });
            match asked.await {
                Ok(status) if status.get("exited").and_then(Value::as_bool) == Some(true) => {
                    return ended(&definition, pid, &status);
                }
                Ok(_) => {}
                // Somebody else may be speaking to it.
                Err(error) if error.kind == Kind::TimedOut && Instant::now() < until => {}
                Err(error) => return Err(error),
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(runs_on(&definition, program, pid, wait));
            }
            tokio::time::sleep(pause.min(left)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

fn arguments(program: &GuestProgram) -> Value {
    let mut members = Map::new();
    members.insert("path".to_owned(), program.path.as_str().into());
    members.insert("arg".to_owned(), program.arguments.clone().into());
    members.insert("capture-output".to_owned(), true.into());
    if !program.environment.is_empty() {
        members.insert("env".to_owned(), program.environment.clone().into());
    }
    if let Some(input) = &program.input {
        members.insert("input-data".to_owned(), BASE64_STANDARD.encode(input).into());
    }
    Value::Object(members)
}

fn ended(definition: &Definition, pid: u64, status: &Value) -> Result<GuestProgramEnded, Error> {
    let number = |name: &str| status.get(name).and_then(Value::as_u64);
    let is = |name: &str| status.get(name).and_then(Value::as_bool) == Some(true);
    let written = |name: &str| match status.get(name).map(Value::as_str) {
        None => Ok(Vec::new()),
        Some(text) => text
            .and_then(|text| BASE64_STANDARD.decode(text).ok())
            .ok_or_else(|| nonsense(definition, "output that is no base64")),
    };
    Ok(GuestProgramEnded {
        name: definition.name.clone(),
        pid,
        exit_code: number("exitcode"),
        signal: number("signal"),
        stdout: written("out-data")?,
        stdout_is_cut: is("out-truncated"),
        stderr: written("err-data")?,
        stderr_is_cut: is("err-truncated"),
    })
}

fn nonsense(definition: &Definition, what: &str) -> Error {
    let message = format!("the agent of '{}' gives {what}", definition.name);
    Error::new(Kind::Hypervisor, "agent.nonsense", message).about("domain", &definition.name)
}

fn runs_on(definition: &Definition, program: &GuestProgram, pid: u64, wait: Duration) -> Error {
    let message = format!(
        "'{}' still runs in '{}' after {} s",
        shown(&program.path),
        definition.name,
        wait.as_secs_f64()
    );
    Error::new(Kind::TimedOut, "agent.exec-runs-on", message)
        .about("domain", &definition.name)
        .hint(format!("it goes on there, as process {pid}: an agent ends no program"))
        .hint("give it more time: --timeout SECS")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agent_is_told_what_was_asked_for_and_nothing_else() {
        let mut program =
            GuestProgram { path: "ls".into(), arguments: vec!["-l".into()], ..GuestProgram::default() };
        assert_eq!(arguments(&program), json!({"path": "ls", "arg": ["-l"], "capture-output": true}));
        (program.environment, program.input) = (vec!["A=b".into()], Some(b"foo".to_vec()));
        let told = arguments(&program);
        assert_eq!((&told["env"], &told["input-data"]), (&json!(["A=b"]), &json!("Zm9v")));
    }
}
