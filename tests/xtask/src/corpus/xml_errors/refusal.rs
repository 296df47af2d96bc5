//! Asks the `hostler` binary: first to store a document, then to build its command line.

use super::{Case, Stage};
use crate::corpus::translate::Program;
use anyhow::{Context, Result, bail};
use serde_json::Value;
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

/// A refusal, as `hostler -o json` tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: String,
    pub(super) message: String,
    /// The path of the element; empty when none is named.
    pub(super) element: String,
    /// Line and column from 1; 0 when none is named.
    pub(super) line: u64,
    pub(super) column: u64,
    /// How many hints there are.
    pub(super) hints: usize,
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
    let document = case.document.to_string_lossy();
    let defined = run(&["define", &document])?;
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

fn read(output: &Output) -> Result<Refusal> {
    let text = [&output.stderr, &output.stdout].into_iter().find(|text| text.starts_with(b"{"));
    let text = text.with_context(|| format!("no JSON: {}", String::from_utf8_lossy(&output.stderr)))?;
    parse(&serde_json::from_slice(text).context("the error is no JSON")?)
}

fn parse(data: &Value) -> Result<Refusal> {
    let error = data.get("error").context("no error in the answer")?;
    let text = |place: &str| error.pointer(place).and_then(Value::as_str).unwrap_or_default().to_owned();
    let number = |place: &str| text(place).parse().unwrap_or(0);
    Ok(Refusal {
        code: text("/code"),
        message: text("/message"),
        element: text("/subject/element"),
        line: number("/subject/line"),
        column: number("/subject/column"),
        hints: error.get("hints").and_then(Value::as_array).map_or(0, Vec::len),
    })
}

#[cfg(test)]
mod tests {
    use super::{Refusal, parse};
    use serde_json::json;

    #[test]
    fn a_refusal_is_read_from_the_commands_json() {
        let data = json!({"error": {"code": "xml.conflict", "message": "m", "hints": [{"text": "h"}],
            "subject": {"element": "domain/os", "line": "3", "column": "5"}}});
        let expected = Refusal {
            code: "xml.conflict".to_owned(),
            message: "m".to_owned(),
            element: "domain/os".to_owned(),
            line: 3,
            column: 5,
            hints: 1,
        };
        assert_eq!(parse(&data).unwrap(), expected);
        let placeless = parse(&json!({"error": {"code": "image.missing"}})).unwrap();
        assert_eq!((placeless.line, placeless.hints), (0, 0));
        assert!(parse(&json!({})).is_err());
    }
}
