//! `hostler agent exec`: a program that the agent in a guest runs.

use std::io::{self, Write as _};
use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::Args;
use hostler_domains::{GuestProgram, GuestProgramEnded};
use serde_json::{Value, json};

use super::Target;
use crate::definition::{Seconds, seconds};
use crate::exit::Exit;
use crate::failure::{Failure, Stop};
use crate::input;
use crate::output::{Format, Output, Reply, escape};
use crate::session::Session;

/// Most bytes that a program is given to read.
const INPUT_BYTES: usize = 1 << 20;
/// What a shell adds to the number of the signal that ended a program.
const BY_SIGNAL: u64 = 128;

/// Run a program in the guest, and pass on what it writes
///
/// The exit status is the program's (128 and the signal's number when a signal ended it) once it has run; what keeps it from
/// running is told with this command's own. The agent keeps 16 MiB of each stream, and passes them on when the program has
/// ended. On a terminal what it wrote is made harmless.
#[derive(Debug, Args)]
pub(super) struct Exec {
    #[command(flatten)]
    target: Target,
    /// Give it this file to read, of 1 MiB at most; '-' is standard input
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Set a variable in place of the agent's environment; may be given more than once
    #[arg(long = "env", value_name = "NAME=VALUE")]
    environment: Vec<String>,
    /// Wait for its end for SECS seconds at most
    #[arg(long, value_name = "SECS", default_value = "300", value_parser = seconds)]
    timeout: Seconds,
    /// The program, by its path in the guest or a name that is looked up there, and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    program: Vec<String>,
}

impl Exec {
    /// Runs it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let mut words = self.program.into_iter();
        let input = self.input.map(|path| input::bytes(&path, INPUT_BYTES, session)).transpose()?;
        let program = GuestProgram {
            path: words.next().unwrap_or_default(),
            arguments: words.collect(),
            environment: self.environment,
            input: input.map(|bytes| bytes.to_vec()),
        };
        let ended = session.block_on(async {
            let host = session.reader().await?;
            Ok(host.agent_exec(&self.target.reference(), &program, self.timeout.0).await?)
        })?;
        let exit = status(&ended);
        if session.output().format() == Format::Json {
            return Ok(Reply::data(document(&ended), Vec::new()).exit_with(exit));
        }
        pass_on(session.output(), &ended)
            .map_err(|error| Failure::io("write what the program wrote", &error))?;
        for (is_cut, stream) in [(ended.stdout_is_cut, "output"), (ended.stderr_is_cut, "error")] {
            if is_cut {
                session.output().warning(&format!("the agent did not keep all of its standard {stream}"));
            }
        }
        Ok(Reply::streamed().exit_with(exit))
    }
}

fn status(ended: &GuestProgramEnded) -> Exit {
    let number = match (ended.exit_code, ended.signal) {
        (Some(code), _) => code,
        (None, Some(signal)) => BY_SIGNAL.saturating_add(signal),
        (None, None) => return Exit::Failed,
    };
    Exit::OfProgram(u8::try_from(number).unwrap_or(u8::MAX))
}

fn pass_on(output: &Output, ended: &GuestProgramEnded) -> io::Result<()> {
    let streams = output.streams();
    let shown = |bytes: &[u8], terminal: bool| match terminal {
        true => escape::document(&String::from_utf8_lossy(bytes)).into_bytes(),
        false => bytes.to_vec(),
    };
    output.bytes(&shown(&ended.stdout, streams.output_is_terminal()))?;
    let mut errors = streams.errors();
    errors.write_all(&shown(&ended.stderr, streams.errors_are_on_terminal()))?;
    errors.flush()
}

fn document(ended: &GuestProgramEnded) -> Value {
    let mut document = json!({
        "name": ended.name,
        "pid": ended.pid,
        "exit_code": ended.exit_code,
        "signal": ended.signal,
        "stdout_is_cut": ended.stdout_is_cut,
        "stderr_is_cut": ended.stderr_is_cut,
    });
    for (name, bytes) in [("stdout", &ended.stdout), ("stderr", &ended.stderr)] {
        // Bytes that are no text are in the other spelling, and in that alone.
        let (key, text) = match std::str::from_utf8(bytes) {
            Ok(text) => (name.to_owned(), text.to_owned()),
            Err(_) => (format!("{name}_base64"), BASE64_STANDARD.encode(bytes)),
        };
        if let Some(members) = document.as_object_mut() {
            members.insert(key, text.into());
        }
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended() -> GuestProgramEnded {
        GuestProgramEnded {
            name: "vm".into(),
            pid: 7,
            exit_code: None,
            signal: None,
            stdout: Vec::new(),
            stdout_is_cut: false,
            stderr: Vec::new(),
            stderr_is_cut: false,
        }
    }

    #[test]
    fn status_is_the_programs_as_shells_have_it() {
        for (exit_code, signal, expected) in [
            (Some(0), None, 0),
            (Some(42), None, 42),
            (None, Some(9), 137),
            (None, None, 1),
            (Some(1 << 32), None, 255),
        ] {
            assert_eq!(status(&GuestProgramEnded { exit_code, signal, ..ended() }).status(), expected);
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_not_changed_into_some() {
        let told = document(&GuestProgramEnded { stdout: b"a\n".to_vec(), stderr: vec![0xff], ..ended() });
        assert_eq!((&told["stdout"], &told["stderr_base64"]), (&json!("a\n"), &json!("/w==")));
        assert!(told.get("stderr").is_none() && told.get("stdout_base64").is_none());
    }
}
