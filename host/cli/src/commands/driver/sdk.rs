//! `hostler driver sdk`: renews what is hostler's in the project of a driver.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::author;
use crate::failure::Stop;
use crate::output::{Block, Reply};
use crate::session::Session;

/// Replace the SDK, the contract and the guide in a driver's project by those of this hostler
///
/// Only the directory 'hostler' of the project is touched, and that as a whole.
#[derive(Debug, Args)]
pub(super) struct Sdk {
    /// The project's directory
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,
}

impl Sdk {
    /// Renews it.
    pub(super) fn run(self, _session: &Session) -> Result<Reply, Stop> {
        let template = hostler_author::renew_sdk(&self.directory).map_err(author::stop)?;
        let version = env!("CARGO_PKG_VERSION");
        let line =
            format!("'{}' has the SDK of hostler {version} now; build it again", self.directory.display());
        let json = json!({"path": self.directory, "template": template.word(), "version": version});
        Ok(Reply::confirmation(json, vec![Block::Line(line)]))
    }
}
