//! `hostler vol path`: where a volume is.

use clap::Args;
use serde_json::json;

use super::VolumeTarget;
use crate::failure::Stop;
use crate::output::{Block, Reply};
use crate::session::Session;

/// Write the path of a volume
#[derive(Debug, Args)]
pub(super) struct Path {
    #[command(flatten)]
    target: VolumeTarget,
}

impl Path {
    /// Writes it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let path = session.block_on(async {
            let host = session.reader().await?;
            Ok(host.vol_path(&self.target.pool(), &self.target.volume).await?)
        })?;
        let path = path.display().to_string();
        Ok(Reply::data(json!({"path": path}), vec![Block::Line(path)]))
    }
}
