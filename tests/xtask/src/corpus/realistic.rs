//! `cargo xtask corpus realistic [DIR]`: documents of other programs, defined and started by the real command.
//!
//! The files that a document names are made below a directory of this run. Where KVM cannot be used, a guest is
//! emulated. What a domain needs and this machine does not have is told in the words of the refusal.

mod document;

use super::answer::{self, Refusal};
use super::translate::Program;
use anyhow::{Context, Result, bail};
use document::Prepared;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What became of a domain.
#[derive(Debug)]
enum Outcome {
    /// It was not stored.
    Refused(Refusal),
    /// It was stored, and started: with KVM, or emulated.
    Started { emulated: bool },
    /// It was stored, and cannot be started here.
    NotHere(Refusal),
}

/// Codes that say what a machine lacks, or what an operator's policy keeps from its guests; anything else that keeps a
/// domain from starting is a fault.
const LACKING: [&str; 14] = [
    "qemu.not-offered",
    "qemu.interface-type",
    "qemu.secret",
    "qemu.source-tls",
    "storage.unsupported",
    "image.missing",
    // A device that the operator makes, which the document uses as it is.
    "network.no-device",
    // KVM without system management mode.
    "firmware.no-smm",
    "launch.denied",
    "firmware.none",
    "network.not-found",
    "network.inactive",
    "network.no-bridge",
    "network.permission-denied",
];

/// Defines and starts every domain of a directory; the last line has the figures.
///
/// # Errors
/// One is refused, or does not start for another reason than what this machine lacks.
pub(super) fn run(program: &Program, directory: &Path) -> Result<()> {
    let (mut defined, mut started, mut faults) = (0, 0, 0);
    let cases = cases(directory)?;
    let state = tempfile::tempdir()?;
    for (name, document) in &cases {
        let outcome = judge(program, document, state.path()).with_context(|| name.clone())?;
        match &outcome {
            Outcome::Refused(refusal) => {
                faults += 1;
                println!("{name}: refused: {refusal}");
            }
            Outcome::Started { emulated } => {
                defined += 1;
                started += 1;
                println!("{name}: defined, started {}", if *emulated { "(emulated)" } else { "(with KVM)" });
            }
            Outcome::NotHere(refusal) => {
                defined += 1;
                let lacking = LACKING.contains(&refusal.code.as_str());
                faults += usize::from(!lacking);
                println!(
                    "{name}: defined, {}: {refusal}",
                    if lacking { "not here" } else { "DID NOT START" }
                );
            }
        }
    }
    println!(
        "defined {defined} of {}, started {started}, {} cannot start here",
        cases.len(),
        defined - started
    );
    if faults > 0 {
        bail!("{faults} domains were refused, or did not start for another reason than what is not here");
    }
    Ok(())
}

fn cases(directory: &Path) -> Result<Vec<(String, PathBuf)>> {
    let entries =
        fs::read_dir(directory).with_context(|| format!("cannot read the corpus {}", directory.display()))?;
    let mut cases = Vec::new();
    for entry in entries {
        let document = entry?.path().join("domain.xml");
        if let Some(name) = document.parent().and_then(Path::file_name).filter(|_| document.is_file()) {
            cases.push((name.to_string_lossy().into_owned(), document));
        }
    }
    if cases.is_empty() {
        bail!("no case in {}: expected NAME/domain.xml", directory.display());
    }
    cases.sort();
    Ok(cases)
}

fn judge(program: &Program, document: &Path, state: &Path) -> Result<Outcome> {
    let files = tempfile::tempdir()?;
    let prepared = Prepared::new(&fs::read_to_string(document)?, files.path())?;
    let outcome = attempt(program, &prepared, state, false)?;
    let no_kvm =
        |refusal: &Refusal| ["qemu.kvm-missing", "launch.hypervisor-failed"].contains(&refusal.code.as_str());
    match &outcome {
        Outcome::NotHere(refusal) if no_kvm(refusal) => attempt(program, &prepared.emulated()?, state, true),
        _ => Ok(outcome),
    }
}

/// Defines a domain, starts it, sees that it runs, ends it, and removes it.
fn attempt(program: &Program, prepared: &Prepared, state: &Path, emulated: bool) -> Result<Outcome> {
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), prepared.text())?;
    let name = prepared.name();
    let run = |words: &[&str]| hostler(program, state, words);
    let defined = run(&["define", &file.path().to_string_lossy()])?;
    if !defined.status.success() {
        return Ok(Outcome::Refused(answer::read(&defined)?));
    }
    let started = run(&["start", name])?;
    let outcome = if started.status.success() {
        let shown = run(&["show", name])?;
        done(&run(&["destroy", name])?)?;
        let shown: Value = serde_json::from_slice(&shown.stdout).context("`show` wrote no JSON")?;
        if shown.pointer("/state").and_then(Value::as_str) != Some("running") {
            bail!("it was started and does not run: {shown}");
        }
        Outcome::Started { emulated }
    } else {
        Outcome::NotHere(answer::read(&started)?)
    };
    done(&run(&["undefine", name])?)?;
    Ok(outcome)
}

fn done(output: &Output) -> Result<()> {
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

fn hostler(program: &Program, state: &Path, words: &[&str]) -> Result<Output> {
    let mut command = Command::new(&program.hostler);
    command.arg("--state-dir").arg(state).arg("--driver-dir").arg(&program.drivers).args(["-o", "json"]);
    command.args(words).output().with_context(|| format!("cannot run {}", program.hostler.display()))
}
