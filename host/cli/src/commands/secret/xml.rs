//! `hostler secret xml`: the XML of a secret.

use clap::Args;
use serde_json::json;

use super::SecretTarget;
use crate::failure::Stop;
use crate::output::{Block, Reply};
use crate::session::Session;

/// Write the XML of a secret
#[derive(Debug, Args)]
pub(super) struct Xml {
    #[command(flatten)]
    target: SecretTarget,
}

impl Xml {
    /// Writes it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let mut xml = session.block_on(async {
            let host = session.reader().await?;
            Ok(host.secret_xml(&self.target.reference()).await?)
        })?;
        let json = json!({"xml": xml});
        if !xml.ends_with('\n') {
            xml.push('\n');
        }
        Ok(Reply::data(json, vec![Block::Document(xml)]))
    }
}
