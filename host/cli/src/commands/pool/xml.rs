//! `hostler pool xml`: the XML of a pool.

use clap::Args;
use serde_json::json;

use super::PoolTarget;
use crate::failure::Stop;
use crate::output::{Block, Reply};
use crate::session::Session;

/// Write the XML of a pool
#[derive(Debug, Args)]
pub(super) struct Xml {
    #[command(flatten)]
    target: PoolTarget,
}

impl Xml {
    /// Writes it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let mut xml = session.block_on(async {
            let host = session.reader().await?;
            Ok(host.pool_xml(&self.target.reference()).await?)
        })?;
        let json = json!({"xml": xml});
        if !xml.ends_with('\n') {
            xml.push('\n');
        }
        Ok(Reply::data(json, vec![Block::Document(xml)]))
    }
}
