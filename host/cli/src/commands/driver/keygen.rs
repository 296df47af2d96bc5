//! `hostler driver keygen`: makes a key to sign drivers with.

use std::path::PathBuf;

use clap::Args;

use crate::commands::view;
use crate::failure::Stop;
use crate::output::{Block, Reply};
use crate::session::Session;

/// Make a key to sign drivers with: the private key in FILE, the public key in FILE.pub
#[derive(Debug, Args)]
pub(super) struct Keygen {
    /// The file for the private key; only you can read it
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Keygen {
    /// Makes it, and says how a policy names it.
    pub(super) fn run(self, _session: &Session) -> Result<Reply, Stop> {
        let made = hostler_domains::generate_signing_key(&self.file)?;
        let lines = [
            format!("private key in '{}': keep it to yourself", made.path.display()),
            format!("public key: {}", made.key),
            format!(
                "in a policy: \"signers\": {{ \"NAME\": {{ \"key\": \"{}\", \"drivers\": [\"DRIVER\"] }} }}",
                made.key
            ),
        ];
        Ok(Reply::confirmation(view::to_json(&made)?, lines.into_iter().map(Block::Line).collect()))
    }
}
