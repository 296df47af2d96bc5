//! `cargo xtask fuzz [TARGET] [--seconds N]`: hostile input for the parsers and checks of the product.
//!
//! Apart from `test`, because it needs a nightly compiler. What it finds beyond the committed seeds stays in
//! the target directory; what breaks a promise goes to `tests/fuzz/artifacts`.

use crate::args::Args;
use crate::{shell, workspace};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Time for all targets together, in seconds, when nothing else is said: a smoke test.
const SECONDS: u64 = 60;
/// Longest input, in bytes: larger ones are slow and say nothing new.
const INPUT_MAX_BYTES: u32 = 8 << 10;
/// Memory of one target, in MiB; a QMP line alone may have 16.
const MEMORY_MAX_MIB: u32 = 1 << 10;
/// Time for one input, in seconds; more is a hang.
const INPUT_MAX_SECONDS: u32 = 10;
/// What fuzzing needs: how to see that it is there, and how to get it.
const NEEDS: [(&str, &[&str], &str); 3] = [
    (
        "a nightly compiler",
        &["rustup", "run", "nightly", "rustc", "--version"],
        "rustup toolchain install nightly --profile minimal",
    ),
    (
        "cargo-fuzz",
        &["rustup", "run", "nightly", "cargo", "fuzz", "--version"],
        "cargo install --locked cargo-fuzz",
    ),
    ("a C++ compiler", &["c++", "--version"], "apt-get install g++"),
];

/// Runs the verb.
pub(crate) fn run(mut args: Args) -> Result<()> {
    let seconds = match args.option("--seconds")? {
        Some(text) => {
            text.parse().with_context(|| format!("--seconds takes a whole number, not \"{text}\""))?
        }
        None => SECONDS,
    };
    let [target] = args.positional()?;
    let directory = workspace::root()?.join("tests/fuzz");
    let chosen = chosen(targets(&directory)?, target)?;
    ensure()?;
    let build = workspace::target_dir()?.join("fuzz");
    shell::step("generators and oracles");
    let mut tests = Command::new(workspace::cargo());
    let tests = tests.current_dir(&directory).args(["test", "--lib", "--target-dir"]).arg(&build);
    shell::read(tests.env("CARGO_TERM_COLOR", "never"))?;
    for target in &chosen {
        shell::step(format!("building {target}"));
        shell::read(cargo_fuzz(&directory, "build", target, &build).env("CARGO_TERM_COLOR", "never"))?;
    }
    let each = share(seconds, chosen.len());
    let mut failed = Vec::new();
    for target in &chosen {
        let found = build.join("corpus").join(target);
        fs::create_dir_all(&found).with_context(|| format!("cannot make {}", found.display()))?;
        let mut command = one_run(&directory, target, &build, &found, each);
        let output = command.output().with_context(|| format!("cannot run {}", shell::words(&command)))?;
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            println!("{target}: {} inputs in {each} s", executed(&said));
        } else {
            eprintln!("{said}");
            failed.push(target.as_str());
        }
    }
    if failed.is_empty() {
        println!("fuzz: {} targets, no findings", chosen.len());
        return Ok(());
    }
    bail!("findings in {}; the inputs are in {}", failed.join(", "), directory.join("artifacts").display())
}

/// One target over its seeds and what was found before.
fn one_run(directory: &Path, target: &str, build: &Path, found: &Path, seconds: u64) -> Command {
    let mut command = cargo_fuzz(directory, "run", target, build);
    // New inputs go to the first directory, so that the seeds stay as they were committed.
    command.arg(found).arg(directory.join("corpus").join(target)).arg("--");
    command.args([
        format!("-max_total_time={seconds}"),
        format!("-max_len={INPUT_MAX_BYTES}"),
        format!("-rss_limit_mb={MEMORY_MAX_MIB}"),
        format!("-timeout={INPUT_MAX_SECONDS}"),
        "-verbosity=0".to_owned(),
        "-print_final_stats=1".to_owned(),
    ]);
    let dictionary = directory.join("dictionaries").join(format!("{target}.dict"));
    if dictionary.is_file() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    command
}

/// `cargo fuzz` with the nightly compiler. Without a sanitizer: these crates have no unsafe code to watch.
fn cargo_fuzz(directory: &Path, action: &str, target: &str, build: &Path) -> Command {
    let mut command = Command::new("rustup");
    command.current_dir(directory).args(["run", "nightly", "cargo", "fuzz", action, target]);
    command.args(["--fuzz-dir", ".", "--sanitizer", "none", "--target-dir"]).arg(build);
    command
}

/// The targets by name, in order.
fn targets(directory: &Path) -> Result<Vec<String>> {
    let folder = directory.join("targets");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    let names = paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let mut names: Vec<String> =
        names.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    Ok(names)
}

/// How many inputs a run tried, by its closing figures.
fn executed(said: &str) -> &str {
    let figure = said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    figure.map_or("no", str::trim)
}

fn chosen(targets: Vec<String>, only: Option<String>) -> Result<Vec<String>> {
    match only {
        None => Ok(targets),
        Some(only) if targets.contains(&only) => Ok(vec![only]),
        Some(only) => bail!("no target {only}; there are {}", targets.join(", ")),
    }
}

/// The time of one target, never none at all.
fn share(seconds: u64, targets: usize) -> u64 {
    let targets = u64::try_from(targets).unwrap_or(u64::MAX).max(1);
    (seconds / targets).max(1)
}

/// Says everything that is missing at once, and how to get it.
fn ensure() -> Result<()> {
    let missing: Vec<String> = NEEDS
        .iter()
        .filter(|(_, words, _)| !present(words))
        .map(|(what, _, remedy)| format!("  {what}: {remedy}"))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    bail!("fuzzing needs what is not installed here; get it with\n{}", missing.join("\n"))
}

fn present(words: &[&str]) -> bool {
    words
        .split_first()
        .is_some_and(|(program, arguments)| shell::succeeds(Command::new(program).args(arguments)))
}

#[cfg(test)]
mod tests {
    use super::{chosen, executed, present, share, targets};
    use crate::workspace;

    #[test]
    fn every_target_is_in_the_manifest() {
        let directory = workspace::root().unwrap().join("tests/fuzz");
        let manifest = std::fs::read_to_string(directory.join("Cargo.toml")).unwrap();
        let targets = targets(&directory).unwrap();
        assert!(targets.iter().all(|name| manifest.contains(&format!("path = \"targets/{name}.rs\""))));
        assert_eq!(manifest.matches("path = \"targets/").count(), targets.len());
    }

    #[test]
    fn targets_are_chosen_by_name_and_share_the_time() {
        let all = || vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(chosen(all(), None).unwrap(), all());
        assert_eq!(chosen(all(), Some("b".to_owned())).unwrap(), ["b"]);
        assert!(chosen(all(), Some("c".to_owned())).unwrap_err().to_string().contains("there are a, b"));
        assert_eq!([share(60, 10), share(3, 10), share(9, 0)], [6, 1, 9]);
    }

    #[test]
    fn the_closing_figures_are_read() {
        assert_eq!(executed("INFO: x\nstat::number_of_executed_units: 42\n"), "42");
        assert_eq!(executed("nothing"), "no");
    }

    #[test]
    fn what_is_not_installed_is_noticed() {
        assert!(present(&["true"]) && !present(&["false"]) && !present(&["hostler-no-such-program"]));
    }
}
