//! `hostler vol xml`: the XML of a volume.

use clap::Args;
use serde_json::json;

use super::VolumeTarget;
use crate::failure::Stop;
use crate::output::{Block, Reply};
use crate::session::Session;

/// Write the XML of a volume, as it is now
#[derive(Debug, Args)]
pub(super) struct Xml {
    #[command(flatten)]
    target: VolumeTarget,
}

impl Xml {
    /// Writes it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let xml = session.block_on(async {
            let host = session.reader().await?;
            Ok(host.vol_xml(&self.target.pool(), &self.target.volume).await?)
        })?;
        Ok(Reply::data(json!({"xml": xml}), vec![Block::Document(xml)]))
    }
}
