//! `hostler pool create`: starts a pool without defining it.

use std::path::PathBuf;

use clap::Args;

use super::stored;
use crate::failure::Stop;
use crate::input;
use crate::output::Reply;
use crate::session::Session;

/// Start a pool from its XML, to be forgotten when it is stopped
#[derive(Debug, Args)]
pub(super) struct Create {
    /// File with the pool XML; '-' reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Make the directory of the pool first
    #[arg(long)]
    build: bool,
}

impl Create {
    /// Starts it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let xml = input::document(&self.file, session)?;
        let created = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.pool_create(&xml, self.build).await?)
        });
        stored(&created.map_err(|stop| stop.in_file(&self.file))?, "started", session)
    }
}
