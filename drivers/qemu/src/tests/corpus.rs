//! Every recorded command line that we may look at, and how many of them come out exactly.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Case;
use super::render::{arguments, quoted};
use crate::facts::Facts;

/// How many of the recorded cases come out exactly. Raise it when there are more; it never falls.
const EXACT_FLOOR: u32 = 130;

fn shared() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared")
}

/// Writes the command line of every case; the answer is what could not be built, and why.
fn write_all(corpus: &Path, actual: &Path) -> Vec<(String, String)> {
    let facts = Facts { comparison: true, ..Facts::default() };
    let mut failed = Vec::new();
    for entry in fs::read_dir(corpus).unwrap() {
        let directory = entry.unwrap().path();
        let Ok(xml) = fs::read_to_string(directory.join("domain.xml")) else { continue };
        let name = directory.file_name().unwrap().to_string_lossy().into_owned();
        match Case::of(&xml, &facts) {
            Ok(case) => {
                let arguments = arguments(&case.launch, &case.domain);
                let text: Vec<_> = arguments.iter().map(|argument| quoted(argument)).collect();
                fs::write(actual.join(format!("{name}.json")), format!("[{}]", text.join(","))).unwrap();
            }
            Err(error) => failed.push((name, format!("{error:?}"))),
        }
    }
    failed
}

#[test]
fn recorded_command_lines_come_out_exactly() {
    let (corpus, tool) = (shared().join("corpus/argv"), shared().join("tools/argv_compare.py"));
    if !corpus.is_dir() || !tool.is_file() {
        eprintln!("skipped: {} is not there", corpus.display());
        return;
    }
    let actual = PathBuf::from(std::env::var("HOSTLER_ACTUAL_DIR").unwrap_or_else(|_| {
        std::env::temp_dir().join(format!("hostler-argv-{}", std::process::id())).display().to_string()
    }));
    fs::create_dir_all(&actual).unwrap();
    let failed = write_all(&corpus, &actual);
    for (name, error) in &failed {
        eprintln!("not built: {name}: {error}");
    }
    let mut compare = Command::new("python3");
    compare.arg(tool).arg("--corpus").arg(&corpus).arg("--actual-dir").arg(&actual).args(["--json", "--details"]);
    let output = compare.output().expect("python3 is part of the development machine");
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    if std::env::var_os("HOSTLER_ACTUAL_DIR").is_some() {
        fs::write(actual.join("report.txt"), &report).unwrap();
    } else {
        fs::remove_dir_all(&actual).unwrap();
    }
    let count = |key: &str| -> u32 {
        let after = report.split(&format!("\"{key}\":")).nth(1).unwrap_or_else(|| panic!("no {key} in: {report}"));
        after.trim_start().split(|letter: char| !letter.is_ascii_digit()).next().unwrap().parse().unwrap()
    };
    let (exact, cases) = (count("exact"), count("cases"));
    eprintln!("{exact} of {cases} exact, {} not built", failed.len());
    assert!(exact >= EXACT_FLOOR, "{exact} of {cases} command lines are exact; the floor is {EXACT_FLOOR}");
}
