//! The repository as the rules see it: its root, its Rust sources, and the crates of its workspace.

use crate::source::Source;
use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, MetadataCommand};
use std::fs;
use std::path::{Path, PathBuf};

/// The directories that hold our sources.
const SOURCES: &[&str] = &["host", "sdk", "drivers", "tests"];

/// A crate of the workspace and what it names in its manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crate {
    /// The package's name.
    pub name: String,
    /// Its directory, relative to the root and with slashes: `host/image`.
    pub directory: String,
    /// Everything it depends on, of every kind.
    pub dependencies: Vec<Dependency>,
}

/// One dependency named in a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// The package depended on.
    pub name: String,
    /// Whether only tests need it.
    pub only_for_tests: bool,
}

/// The root of this repository.
#[must_use]
pub fn root() -> PathBuf {
    // This crate lies two levels below it.
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every Rust source of ours.
///
/// # Errors
/// When a directory or a file cannot be read.
pub fn sources(root: &Path) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for path in paths(root)? {
        if path.ends_with(".rs") {
            let text = fs::read_to_string(root.join(&path)).with_context(|| format!("cannot read {path}"))?;
            sources.push(Source::new(path, text));
        }
    }
    Ok(sources)
}

/// Every directory and file of ours, relative to the root, in order.
///
/// # Errors
/// When a directory cannot be read.
pub fn paths(root: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut todo: Vec<String> = SOURCES.iter().map(|name| (*name).to_owned()).collect();
    while let Some(directory) = todo.pop() {
        let full = root.join(&directory);
        for entry in fs::read_dir(&full).with_context(|| format!("cannot read {}", full.display()))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{directory}/{name}");
            if name.starts_with('.') || name == "target" {
                continue;
            }
            if entry.file_type()?.is_dir() {
                todo.push(path.clone());
            }
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Every crate of the workspace.
///
/// # Errors
/// When cargo cannot read the workspace.
pub fn crates(root: &Path) -> Result<Vec<Crate>> {
    let metadata = MetadataCommand::new().current_dir(root).no_deps().exec()?;
    let base = metadata.workspace_root.clone();
    let mut crates = Vec::new();
    for package in metadata.workspace_packages() {
        let directory = package.manifest_path.parent().and_then(|path| path.strip_prefix(&base).ok());
        let directory = directory.with_context(|| format!("{} lies outside the workspace", package.name))?;
        let dependencies = package.dependencies.iter().map(|dependency| Dependency {
            name: dependency.name.clone(),
            only_for_tests: dependency.kind == DependencyKind::Development,
        });
        crates.push(Crate {
            name: package.name.to_string(),
            directory: directory.as_str().replace('\\', "/"),
            dependencies: dependencies.collect(),
        });
    }
    Ok(crates)
}
