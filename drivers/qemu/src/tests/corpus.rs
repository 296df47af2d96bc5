//! Recorded command lines that we may look at, and how many of them come out exactly.

#![expect(clippy::print_stderr, reason = "a skipped set and the figures must be visible")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Case;
use super::render::arguments;
use crate::facts::Facts;
use hostler_sdk::Value;

/// One set of recorded command lines, and what we reach on it. Raise a floor when there is more; it
/// never falls.
struct Corpus<'a> {
    directory: &'a str,
    options: &'a [&'a str],
    exact_floor: u64,
}

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
                let text: Vec<_> = arguments
                    .iter()
                    .map(|argument| Value::from(argument.as_str()).to_json(&|_| String::new()))
                    .collect();
                fs::write(actual.join(format!("{name}.json")), format!("[{}]", text.join(","))).unwrap();
            }
            Err(error) => failed.push((name, format!("{error:?}"))),
        }
    }
    failed
}

/// Judges one set. `HOSTLER_ACTUAL_DIR` keeps what was written, and the report.
fn judge(corpus: &Corpus<'_>) {
    let (directory, tool) = (shared().join(corpus.directory), shared().join("tools/argv_compare.py"));
    if !directory.is_dir() || !tool.is_file() {
        eprintln!("skipped: {} is not there", directory.display());
        return;
    }
    let name = corpus.directory.replace('/', "-");
    let kept = std::env::var_os("HOSTLER_ACTUAL_DIR").map(PathBuf::from);
    let parent = kept.clone().unwrap_or_else(std::env::temp_dir);
    let actual =
        parent.join(format!("hostler-{name}-{}", if kept.is_some() { 0 } else { std::process::id() }));
    fs::create_dir_all(&actual).unwrap();
    let failed = write_all(&directory, &actual);
    for (name, error) in &failed {
        eprintln!("not built: {name}: {error}");
    }
    let mut compare = Command::new("python3");
    compare
        .current_dir(&directory)
        .arg(tool)
        .arg("--corpus")
        .arg(&directory)
        .arg("--actual-dir")
        .arg(&actual);
    let output =
        compare.args(["--json", "--details"]).args(corpus.options).output().expect("python3 is installed");
    if kept.is_some() {
        fs::write(parent.join(format!("{name}.json")), &output.stdout).unwrap();
    } else {
        fs::remove_dir_all(&actual).unwrap();
    }
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("the comparer reports in JSON");
    let (summary, floor) = (&report["summary"], corpus.exact_floor);
    eprintln!(
        "{name}: {} of {} exact, mean score {}",
        summary["exact"], summary["cases"], summary["mean_score"]
    );
    assert!(
        summary["exact"].as_u64() >= Some(floor),
        "{name}: {} are exact; the floor is {floor}",
        summary["exact"]
    );
}

#[test]
fn recorded_command_lines_of_libvirt_8_5_come_out_exactly() {
    judge(&Corpus { directory: "corpus/argv", options: &[], exact_floor: 154 });
}

/// What libvirt 9.0 on QEMU 7.2 writes otherwise, for the reasons given.
const NEWER_LIBVIRT: &str = r#"{
  "subst": [["/srv/oracle/root2/lib/qemu/", "@DOMDIR@/"], ["^(/tmp/lib|/tmp/channel|/var/lib/libvirt/qemu)/", "@DOMDIR@/"],
            ["^host_cdrom$", "host_device"]],
  "ignore_options": [{"opt": "-netdev"}, {"opt": "-add-fd"}],
  "ignore_keys": [{"opt": "-object", "key": "data"}, {"opt": "-object", "key": "iv"}, {"opt": "-machine", "key": "type"}],
  "drop_keys": [{"opt": "-chardev", "key": "path"}, {"opt": "-chardev", "key": "fd"}, {"opt": "-chardev", "key": "append"},
                {"opt": "-spice", "key": "disable-ticketing"}]
}"#;

/// As [`judge`], for what a later libvirt wrote on another host: paths, descriptors and aliases of machine
/// types differ, and the interfaces were rewritten.
fn judge_newer(directory: &'static str, exact_floor: u64) {
    let file = std::env::temp_dir().join(format!(
        "hostler-{}-{}.json",
        directory.replace('/', "-"),
        std::process::id()
    ));
    fs::write(&file, NEWER_LIBVIRT).unwrap();
    let path = file.display().to_string();
    judge(&Corpus { directory, options: &["--config", &path, "--loose-form"], exact_floor });
    fs::remove_file(&file).unwrap();
}

#[test]
fn recorded_command_lines_of_libvirt_9_0_come_out_too() {
    judge_newer("corpus/oracle90", 265);
}

#[test]
fn documents_of_other_programs_come_out_like_libvirt_has_them() {
    judge_newer("corpus/realistic", 6);
}
