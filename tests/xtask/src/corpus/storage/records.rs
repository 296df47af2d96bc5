//! Reading the cases of a corpus: one JSON object a line.

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// The cases of one file.
pub(super) fn read<T: DeserializeOwned>(file: &Path) -> Result<Vec<T>> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines
        .enumerate()
        .map(|(number, line)| {
            serde_json::from_str(line).with_context(|| format!("{}, case {}", file.display(), number + 1))
        })
        .collect()
}

/// XML for comparison: how white space between elements and quotes in text are written says nothing.
pub(super) fn plain_xml(xml: &str) -> String {
    let lines: String = xml.lines().map(str::trim).collect();
    lines.replace("&quot;", "\"").replace("&apos;", "'")
}

/// Nothing, or both sides.
pub(super) fn same<T: PartialEq + std::fmt::Display>(found: &T, expected: &T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("is {found}, recorded is {expected}")) }
}

/// A copy of a tree in which the recorded links are links: as plain files they hold what they point to.
pub(super) fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_tree(&source, &target)?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(&source)?, &target)?;
        } else if entry.file_name().as_encoded_bytes().starts_with(b"link") {
            symlink(fs::read_to_string(&source)?.trim(), &target)?;
        } else {
            fs::copy(&source, &target).with_context(|| format!("cannot copy {}", source.display()))?;
        }
    }
    Ok(())
}
