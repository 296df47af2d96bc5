//! `hostler snapshot xml`: a snapshot as libvirt's document.

use clap::Args;
use serde_json::json;

use super::SnapshotTarget;
use crate::failure::Stop;
use crate::output::{Block, Reply};
use crate::session::Session;

/// Write the XML of a snapshot, with the domain's as it was then
#[derive(Debug, Args)]
pub(super) struct Xml {
    #[command(flatten)]
    target: SnapshotTarget,
}

impl Xml {
    /// Writes it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let xml = session.block_on(async {
            let host = session.reader().await?;
            Ok(host.snapshot_xml(&self.target.domain(), &self.target.snapshot).await?)
        })?;
        Ok(Reply::data(json!({"xml": xml}), vec![Block::Document(xml)]))
    }
}
