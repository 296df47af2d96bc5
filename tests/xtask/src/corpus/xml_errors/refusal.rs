//! Asks the `hostler` binary: first to store a document, then to build its command line.

use super::{Case, Stage, taken_away};
use crate::corpus::answer::{Refusal, read};
use crate::corpus::translate::Program;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Cases asked at the same time.
const WORKERS: usize = 2;

/// What became of a document.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// It was stored, and its command line built.
    Accepted,
    /// It was refused.
    Refused { stage: Stage, refusal: Refusal },
}

/// The answers, in the order of the cases.
pub(super) fn ask_all(program: &Program, cases: &[Case]) -> Result<Vec<Answer>> {
    let next = AtomicUsize::new(0);
    let answers: Mutex<Vec<(usize, Result<Answer>)>> = Mutex::new(Vec::new());
    // A state directory has one owner at a time, so each worker brings its own.
    let states = (0..WORKERS).map(|_| tempfile::tempdir()).collect::<std::io::Result<Vec<_>>>()?;
    thread::scope(|scope| {
        for state in &states {
            let (next, answers) = (&next, &answers);
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(at) else { break };
                    let answer = ask(program, case, state.path()).with_context(|| case.name.clone());
                    if let Ok(mut answers) = answers.lock() {
                        answers.push((at, answer));
                    }
                }
            });
        }
    });
    let Ok(mut answers) = answers.into_inner() else { bail!("a worker ended early") };
    answers.sort_by_key(|(at, _)| *at);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

fn ask(program: &Program, case: &Case, state: &Path) -> Result<Answer> {
    let run = |words: &[&str]| {
        let mut command = Command::new(&program.hostler);
        command.arg("--state-dir").arg(state).arg("--driver-dir").arg(&program.drivers).args(["-o", "json"]);
        command.args(words).output().with_context(|| format!("cannot run {}", program.hostler.display()))
    };
    let document = tempfile::NamedTempFile::new()?;
    fs::write(document.path(), taken_away::document(case)?)?;
    let defined = run(&["define", &document.path().to_string_lossy()])?;
    if !defined.status.success() {
        return Ok(Answer::Refused { stage: Stage::Define, refusal: read(&defined)? });
    }
    let name = defined_name(&defined)?;
    // The host's files are not those of the recording: the command line is built as for libvirt's own host.
    let built = run(&["native", "--for-comparison", &name])?;
    let removed = run(&["undefine", &name])?;
    if !removed.status.success() {
        bail!("'{name}' cannot be removed: {}", String::from_utf8_lossy(&removed.stderr));
    }
    if built.status.success() {
        return Ok(Answer::Accepted);
    }
    Ok(Answer::Refused { stage: Stage::Start, refusal: read(&built)? })
}

/// The name that `define` stored a document under.
fn defined_name(output: &Output) -> Result<String> {
    let data: Value = serde_json::from_slice(&output.stdout).context("`define` wrote no JSON")?;
    let found = ["/name", "/domain/name"].iter().find_map(|place| data.pointer(place)?.as_str());
    Ok(found.context("`define` names no domain")?.to_owned())
}
