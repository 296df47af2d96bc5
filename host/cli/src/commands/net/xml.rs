//! `hostler net xml`: the XML of a network.

use clap::Args;
use serde_json::json;

use super::NetworkTarget;
use crate::failure::Stop;
use crate::output::{Block, Reply};
use crate::session::Session;

/// Write the XML of a network
#[derive(Debug, Args)]
pub(super) struct Xml {
    #[command(flatten)]
    target: NetworkTarget,
}

impl Xml {
    /// Writes it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let mut xml = session.block_on(async {
            let host = session.reader().await?;
            Ok(host.network_xml(&self.target.reference()).await?)
        })?;
        let json = json!({"xml": xml});
        if !xml.ends_with('\n') {
            xml.push('\n');
        }
        Ok(Reply::data(json, vec![Block::Document(xml)]))
    }
}
