//! `hostler snapshot xml`: a snapshot as libvirt's document.

use clap::Args;
use hostler_domains::without_passwords;
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
    /// With the passwords of its displays; they are left out otherwise
    #[arg(long)]
    security_info: bool,
}

impl Xml {
    /// Writes it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let xml = session.block_on(async {
            let host = session.reader().await?;
            let xml = host.snapshot_xml(&self.target.domain(), &self.target.snapshot).await?;
            Ok(if self.security_info {
                xml
            } else {
                without_passwords(&xml).map_err(hostler_domains::Error::from)?
            })
        })?;
        Ok(Reply::data(json!({"xml": xml}), vec![Block::Document(xml)]))
    }
}
