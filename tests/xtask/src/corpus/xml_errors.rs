//! `cargo xtask corpus xml-errors [DIR]`: documents that libvirt refuses, given to the real command with the real driver.
//!
//! A case counts when it is refused at the stage and for the kind of reason that was recorded, with line, column,
//! element and a hint. Whatever differs is listed with its reason.

mod category;
mod refusal;
mod report;
mod taken_away;

use super::translate::Program;
use anyhow::{Context, Result, bail};
use refusal::Answer;
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};

/// Where a document is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Stage {
    /// When it is stored.
    Define,
    /// When its command line is built.
    Start,
}

/// What was recorded of a case.
#[derive(Debug, Clone, Deserialize)]
struct Recorded {
    arch: String,
    phase: Stage,
    /// The sentence of libvirt.
    error: String,
    category: String,
    /// What its QEMU could do: a version, or a list made up for the test.
    caps: String,
    /// The list that was made up.
    fake_caps: Vec<String>,
    /// Whether another QEMU takes the document.
    version_dependent: bool,
}

/// One case.
#[derive(Debug, Clone)]
struct Case {
    name: String,
    document: PathBuf,
    recorded: Recorded,
}

/// How a case differs from what was recorded, in the order in which they are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Difference {
    /// Nobody refused it.
    Accepted,
    /// Refused for its architecture, whatever else is wrong with it.
    Architecture,
    /// Refused for another reason: the categories that our code stands for.
    Category(Vec<&'static str>),
    /// Refused earlier or later.
    Stage,
    /// Refused without one of these.
    Without(&'static str),
}

/// A case and what became of it.
#[derive(Debug)]
struct Outcome {
    case: Case,
    answer: Answer,
    difference: Option<Difference>,
}

/// Runs every case of a directory and reports; the report ends with a line of figures.
pub(super) fn run(program: &Program, directory: &Path, verbose: bool) -> Result<()> {
    let cases = load(directory)?;
    let answers = refusal::ask_all(program, &cases)?;
    let outcomes: Vec<_> = cases
        .into_iter()
        .zip(answers)
        .map(|(case, answer)| {
            let difference = judge(&case.recorded, &answer);
            Outcome { case, answer, difference }
        })
        .collect();
    print!("{}", report::render(&outcomes, verbose));
    Ok(())
}

fn load(directory: &Path) -> Result<Vec<Case>> {
    let entries =
        fs::read_dir(directory).with_context(|| format!("cannot read the corpus {}", directory.display()))?;
    let mut cases = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let expected = path.join("expected.json");
        if !expected.is_file() {
            continue;
        }
        let text = fs::read_to_string(&expected)?;
        let recorded = serde_json::from_str(&text).with_context(|| format!("{}", expected.display()))?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        cases.push(Case { name, document: path.join("domain.xml"), recorded });
    }
    if cases.is_empty() {
        bail!("no case in {}: expected NAME/domain.xml with NAME/expected.json", directory.display());
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(cases)
}

fn judge(recorded: &Recorded, answer: &Answer) -> Option<Difference> {
    let Answer::Refused { stage, refusal } = answer else { return Some(Difference::Accepted) };
    let of_architecture = refusal.code.starts_with("qemu.arch");
    if of_architecture && !recorded.error.contains("support arch") {
        return Some(Difference::Architecture);
    }
    let categories = category::of(&refusal.code, &refusal.element);
    if !categories.contains(&recorded.category.as_str()) {
        return Some(Difference::Category(categories.to_vec()));
    }
    if *stage != recorded.phase {
        return Some(Difference::Stage);
    }
    let missing = [
        ("line and column", refusal.line == 0 || refusal.column == 0),
        ("an element", refusal.element.is_empty()),
        ("a hint", refusal.hints == 0),
    ];
    missing.into_iter().find(|(_, missing)| *missing).map(|(what, _)| Difference::Without(what))
}

#[cfg(test)]
mod tests;
