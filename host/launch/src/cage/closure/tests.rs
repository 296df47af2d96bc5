//! The closure of programs that are here, against what the loader itself says, and of made-up directories.

use std::collections::BTreeSet;
use std::process::Command;

use super::*;
use crate::template::TemplateSet;

fn rule(text: &str) -> CageRule {
    serde_json::from_str(text).unwrap()
}

fn files(items: &[Item]) -> BTreeSet<PathBuf> {
    let file = |item: &Item| match item {
        Item::File { path, .. } => Some(path.clone()),
        _ => None,
    };
    items.iter().filter_map(file).collect()
}

/// The shipped template's rule, without its directories.
fn shipped() -> CageRule {
    let set = TemplateSet::builtin().unwrap();
    let qemu = set.get("qemu-system-x86_64").unwrap();
    let libraries = &qemu.data.cage.as_ref().unwrap().libraries;
    let text = serde_json::json!({ "libraries": libraries }).to_string();
    rule(&text)
}

#[test]
fn libraries_are_those_that_the_loader_finds() {
    for program in ["/usr/bin/qemu-system-x86_64", "/bin/bash", "/bin/sh"] {
        if !Path::new(program).exists() {
            continue;
        }
        let items = resolve(Path::new(program), &shipped()).unwrap();
        let output = Command::new("ldd").arg(program).output().unwrap();
        let listed = String::from_utf8(output.stdout).unwrap();
        let wanted: BTreeSet<PathBuf> = listed
            .lines()
            .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
            .map(|path| std::fs::canonicalize(path).unwrap())
            .chain([std::fs::canonicalize(program).unwrap()])
            .collect();
        assert!(wanted.len() > 2, "{listed}");
        assert_eq!(files(&items), wanted, "{program}");
        let run = items.iter().filter(|item| matches!(item, Item::File { run: true, .. })).count();
        assert_eq!(run, 2, "the program and its loader");
    }
}

#[test]
fn links_on_the_way_are_reproduced_and_ends_are_real() {
    let directory = tempfile::tempdir().unwrap();
    let base = std::fs::canonicalize(directory.path()).unwrap();
    std::fs::create_dir_all(base.join("real/deep")).unwrap();
    std::fs::write(base.join("real/deep/file"), "x").unwrap();
    std::os::unix::fs::symlink("real/../real", base.join("first")).unwrap();
    std::os::unix::fs::symlink(base.join("first/deep/file"), base.join("second")).unwrap();
    let mut closure = Closure::default();
    assert_eq!(closure.add(&base.join("second"), false).unwrap(), base.join("real/deep/file"));
    let items = closure.finish().unwrap();
    for at in ["first", "second"] {
        let to = std::fs::read_link(base.join(at)).unwrap();
        assert!(items.contains(&Item::Link { at: base.join(at), to }), "{items:?}");
    }
    assert_eq!(files(&items), BTreeSet::from([base.join("real/deep/file")]));
}

#[test]
fn circles_and_odd_files_are_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let circle = directory.path().join("circle");
    std::os::unix::fs::symlink(&circle, &circle).unwrap();
    for path in [circle.as_path(), Path::new("/dev/null"), Path::new("/nonexistent/x")] {
        let error = Closure::default().add(path, false).unwrap_err();
        assert_eq!(error.kind, LaunchErrorKind::CageFailed);
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
}

#[test]
fn what_lies_in_a_bound_directory_has_no_entry_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let base = std::fs::canonicalize(directory.path()).unwrap();
    std::fs::create_dir_all(base.join("whole/below")).unwrap();
    std::fs::write(base.join("whole/below/file"), "x").unwrap();
    std::os::unix::fs::symlink("below", base.join("whole/link")).unwrap();
    let mut closure = Closure::default();
    for path in ["whole/below/file", "whole/link", "whole", "whole"] {
        closure.add(&base.join(path), false).unwrap();
    }
    let expected = Item::Directory { path: base.join("whole") };
    let kept: Vec<_> = closure.finish().unwrap();
    assert_eq!(kept, [expected]);
}

#[test]
fn missing_parts_are_named_with_who_needs_them_and_what_to_do() {
    let program = Path::new("/bin/sh");
    let error = resolve(program, &rule(r#"{"libraries": ["/nonexistent/lib"]}"#)).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("needs the library") && text.contains("/nonexistent/lib"), "{text}");
    assert!(error.hints.iter().any(|hint| hint.contains("'libraries'")));
    let none = r#"{"libraries": [], "needed": [["/nonexistent/a", "/nonexistent/b"]]}"#;
    let error = resolve(program, &rule(none)).unwrap_err();
    assert!(error.to_string().contains("'/nonexistent/a' or '/nonexistent/b'"), "{error}");
    assert_eq!(error.code(), "launch.cage-failed");
}

#[test]
fn own_search_paths_come_first_with_the_objects_own_place() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("libx.so"), "x").unwrap();
    let of = directory.path().join("program");
    for own in ["$ORIGIN", "/nonexistent:${ORIGIN}/.", ":$ORIGIN"] {
        assert!(find("libx.so", &of, &[own.to_owned()], &[]).is_some(), "{own}");
    }
    assert_eq!(find("libx.so", &of, &[], &[]), None);
    let absolute = directory.path().join("libx.so").display().to_string();
    assert_eq!(find(&absolute, &of, &[], &[]), Some(PathBuf::from(absolute.as_str())));
}
