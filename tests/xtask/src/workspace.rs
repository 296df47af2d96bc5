//! Where things are: the repository, the target directory, the members of the workspace.

use anyhow::{Context, Result};
use cargo_metadata::{Metadata, MetadataCommand, Package};
use std::env;
use std::path::PathBuf;
use std::sync::OnceLock;

/// The root of the repository.
///
/// # Errors
/// When this crate does not lie two levels below it.
pub(crate) fn root() -> Result<PathBuf> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let root = here.ancestors().nth(2).context("xtask is not below the repository")?;
    Ok(root.to_owned())
}

/// What cargo knows of the workspace, without dependencies; asked once.
///
/// # Errors
/// When cargo cannot read the workspace.
pub(crate) fn metadata() -> Result<&'static Metadata> {
    static METADATA: OnceLock<Metadata> = OnceLock::new();
    if let Some(metadata) = METADATA.get() {
        return Ok(metadata);
    }
    let metadata = MetadataCommand::new().current_dir(root()?).no_deps().exec()?;
    Ok(METADATA.get_or_init(|| metadata))
}

/// Where cargo builds, which is where everything made here goes too.
///
/// # Errors
/// When cargo cannot read the workspace.
pub(crate) fn target_dir() -> Result<PathBuf> {
    Ok(metadata()?.target_directory.clone().into_std_path_buf())
}

/// The members that lie in the given directory of the repository.
///
/// # Errors
/// When cargo cannot read the workspace.
pub(crate) fn members_in(directory: &str) -> Result<Vec<&'static Package>> {
    let metadata = metadata()?;
    let base = metadata.workspace_root.join(directory);
    let mut members: Vec<_> = metadata
        .workspace_packages()
        .into_iter()
        .filter(|package| package.manifest_path.starts_with(&base))
        .collect();
    members.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(members)
}

/// The cargo that runs this tool.
pub(crate) fn cargo() -> PathBuf {
    env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}
