//! `cargo xtask corpus KIND [DIR]`: how much of a recorded corpus comes out as expected.
//!
//! `argv`: domains and their command lines. `storage`: references, sources and chains. `xml-errors`: documents that
//! are refused. `realistic`: documents of other programs, defined and started.

mod answer;
mod cases;
mod compare;
mod form;
mod keyval;
mod normal;
mod option;
mod pairing;
mod realistic;
mod report;
mod similarity;
mod storage;
mod tokens;
mod translate;
mod xml_errors;

use crate::args::Args;
use crate::{build, components, workspace};
use anyhow::{Context, Result, bail};
use form::Form;
use report::Detail;
use std::fs;
use std::path::PathBuf;
use translate::Program;

/// Runs the verb.
pub(crate) fn run(mut args: Args) -> Result<()> {
    let verbose = args.flag("--verbose");
    let loose = args.flag("--loose");
    let hostler = args.option("--hostler")?.map(PathBuf::from);
    let drivers = args.option("--drivers")?.map(PathBuf::from);
    let diff = args.option("--diff")?;
    let compare = args.option("--compare")?;
    let [kind, directory] = args.positional()?;
    let beside = |name: &str| workspace::root().map(|root| root.join("../shared/corpus").join(name));
    let directory_of =
        |name| directory.as_ref().map_or_else(|| beside(name), |given| Ok(PathBuf::from(given)));
    match kind.as_deref() {
        Some("argv") => {}
        Some("storage") => return storage::run(&directory_of("")?, verbose),
        Some("xml-errors") => {
            return xml_errors::run(&program(hostler, drivers)?, &directory_of("xml_errors")?, verbose);
        }
        Some("realistic") => {
            return realistic::run(&program(hostler, drivers)?, &directory_of("realistic")?);
        }
        _ => bail!(
            "the corpora are `argv`, `storage`, `xml-errors` and `realistic`: cargo xtask corpus argv [DIR]"
        ),
    }
    let directory = match directory {
        Some(directory) => PathBuf::from(directory),
        None => {
            cases::default_corpus().context("no corpus directory given and none beside the repository")?
        }
    };
    let detail = Detail { cases: verbose || diff.is_some(), differences: diff.is_some() };
    let only: Vec<String> = diff.filter(|name| name != "all").into_iter().collect();
    let cases = cases::load(&directory, &only)?;
    let form = Form::of(&directory, loose)?;
    let outcomes = match compare {
        Some(actual) => judge_recorded(&PathBuf::from(actual), &cases, &form),
        None => translate::judge_all(&program(hostler, drivers)?, &cases, &form)?,
    };
    if form.loose {
        println!("in the loose form: what belongs to one host, or is only another spelling, is not compared");
    }
    print!("{}", report::render(&cases, &outcomes, &detail));
    Ok(())
}

/// The program given, or the one of this tree, built first.
fn program(hostler: Option<PathBuf>, drivers: Option<PathBuf>) -> Result<Program> {
    let target = workspace::target_dir()?;
    let hostler = match hostler {
        Some(given) => given,
        None => {
            build::release()?;
            target.join("release/hostler")
        }
    };
    let drivers = match drivers {
        Some(given) => given,
        None => {
            components::build_all()?;
            target.join("drivers")
        }
    };
    Ok(Program { hostler, drivers })
}

/// Judges command lines recorded earlier as `DIR/NAME.json`.
fn judge_recorded(
    directory: &std::path::Path,
    cases: &[cases::Case],
    form: &Form,
) -> Vec<translate::Outcome> {
    let judge = |case: &cases::Case| {
        let file = directory.join(format!("{}.json", case.name));
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        compare::compare_texts(&case.expected, &text, form)
    };
    cases.iter().map(|case| judge(case).map_err(|error| format!("{error:#}"))).collect()
}
