//! Asks the `hostler` binary for the command line of each case, a few at a time.

use super::cases::Case;
use super::compare::{Verdict, compare_texts};
use super::form::Form;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Cases translated at the same time.
const WORKERS: usize = 2;

/// Where the program under test is, and what it loads.
pub(crate) struct Program {
    pub(crate) hostler: PathBuf,
    pub(crate) drivers: PathBuf,
}

/// The outcome of one case: a verdict, or why there is none.
pub(crate) type Outcome = std::result::Result<Verdict, String>;

/// Translates and judges every case; the outcomes are in the order of the cases.
pub(crate) fn judge_all(program: &Program, cases: &[Case], form: &Form) -> Result<Vec<Outcome>> {
    let next = AtomicUsize::new(0);
    let outcomes: Mutex<Vec<(usize, Outcome)>> = Mutex::new(Vec::new());
    // A state directory has one owner at a time, so each worker brings its own.
    let states = (0..WORKERS).map(|_| tempfile::tempdir()).collect::<std::io::Result<Vec<_>>>()?;
    thread::scope(|scope| {
        for state in &states {
            let (next, outcomes) = (&next, &outcomes);
            scope.spawn(move || {
                while let Some((at, case)) = take(next, cases) {
                    let outcome =
                        judge(program, case, form, state.path()).map_err(|error| format!("{error:#}"));
                    if let Ok(mut outcomes) = outcomes.lock() {
                        outcomes.push((at, outcome));
                    }
                }
            });
        }
    });
    let Ok(mut outcomes) = outcomes.into_inner() else { bail!("a worker ended early") };
    outcomes.sort_by_key(|(at, _)| *at);
    Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
}

fn take<'a>(next: &AtomicUsize, cases: &'a [Case]) -> Option<(usize, &'a Case)> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    Some((at, cases.get(at)?))
}

fn judge(program: &Program, case: &Case, form: &Form, state: &Path) -> Result<Verdict> {
    let output = Command::new(&program.hostler)
        .arg("--state-dir")
        .arg(state)
        .arg("--driver-dir")
        .arg(&program.drivers)
        .args(["-o", "json", "native", "--for-comparison", "--xml"])
        .arg(&case.xml)
        .output()
        .with_context(|| format!("cannot run {}", program.hostler.display()))?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        bail!("{}: {}", output.status, first_line(&reason));
    }
    let actual = std::str::from_utf8(&output.stdout).context("output is not UTF-8")?;
    compare_texts(&case.expected, actual, form)
}

fn first_line(text: &str) -> &str {
    text.lines().find(|line| !line.trim().is_empty()).unwrap_or("no message")
}
