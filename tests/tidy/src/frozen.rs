//! Released versions of the contract never change, nor do the drivers that were built against them: `wit/since` and
//! `tests/guests/frozen` are checked against their lists of digests.

use crate::Violation;
use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The list, in the format of `sha256sum`, with paths relative to its directory.
pub const LIST: &str = "SHA256SUMS";
const WHY: &str = "drivers out there were built against it, and a changed type no longer links";

/// Every frozen file below `directory` that changed, is gone, or is not on the list. Nothing is frozen without it.
///
/// # Errors
/// When a file cannot be read.
pub fn violations(directory: &Path) -> Result<Vec<Violation>> {
    if !directory.is_dir() {
        return Ok(Vec::new());
    }
    let shown = directory.display();
    let list = fs::read_to_string(directory.join(LIST)).with_context(|| format!("{shown} has no {LIST}"))?;
    let mut expected: BTreeMap<&str, &str> =
        list.lines().filter_map(|line| line.split_once("  ")).map(|(digest, path)| (path, digest)).collect();
    let mut found = Vec::new();
    for path in files(directory)? {
        let digest = digest(&directory.join(&path))?;
        match expected.remove(path.as_str()) {
            Some(listed) if listed == digest => {}
            Some(_) => found.push(format!("{shown}/{path}: changed after its release: {WHY}")),
            None => {
                found.push(format!("{shown}/{path}: is not in {LIST}; add its digest when it is released"))
            }
        }
    }
    found.extend(expected.keys().map(|path| format!("{shown}/{path}: is gone: {WHY}")));
    Ok(found)
}

/// What is frozen below a directory, as paths relative to it, in the order of the list.
///
/// # Errors
/// When a directory cannot be read.
pub fn files(directory: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut todo = vec![directory.to_owned()];
    while let Some(next) = todo.pop() {
        for entry in fs::read_dir(next)? {
            let path = entry?.path();
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|extension| extension == "wit" || extension == "wasm") {
                found.push(path.strip_prefix(directory)?.to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The digest of a file, as the list has it.
///
/// # Errors
/// When it cannot be read.
pub fn digest(file: &Path) -> Result<String> {
    Ok(format!("{:x}", Sha256::digest(fs::read(file)?)))
}

#[cfg(test)]
mod tests {
    use super::violations;
    use std::fs;

    #[test]
    fn changed_missing_and_unlisted_files_are_found() {
        let root = tempfile::tempdir().unwrap();
        let since = root.path().join("since");
        assert!(violations(&since).unwrap().is_empty());
        fs::create_dir(&since).unwrap();
        for name in ["a.wit", "b.wit", "c.wit"] {
            fs::write(since.join(name), "x").unwrap();
        }
        // sha256 of "x"
        let x = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
        fs::write(since.join("SHA256SUMS"), format!("{x}  a.wit\n{}  b.wit\n{x}  d.wit\n", "0".repeat(64)))
            .unwrap();
        let found = violations(&since).unwrap();
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].contains("b.wit: changed") && found[1].contains("c.wit: is not"));
        assert!(found[2].contains("d.wit: is gone"));
    }
}
