//! `hostler driver sign`: signs a component, for authors and operators.

use std::path::PathBuf;

use clap::Args;

use crate::commands::view;
use crate::failure::Stop;
use crate::output::{Block, Reply};
use crate::session::Session;

/// Sign a driver: its name, version and digest; the signature goes into FILE.sig
///
/// Signatures by other keys that are there already stay.
#[derive(Debug, Args)]
pub(super) struct Sign {
    /// The driver's component
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The private key, as 'driver keygen' made it; only you may be able to read it
    #[arg(long, value_name = "KEYFILE")]
    key: PathBuf,
}

impl Sign {
    /// Signs it.
    pub(super) fn run(self, _session: &Session) -> Result<Reply, Stop> {
        let signed = hostler_domains::sign_driver(&self.file, &self.key)?;
        let line = format!("signed with {}: '{}'", signed.key, signed.path.display());
        Ok(Reply::confirmation(view::to_json(&signed)?, vec![Block::Line(line)]))
    }
}
