//! `hostler xml`: the domain XML.

use clap::Args;
use hostler_domains::{Which, without_passwords};
use serde_json::json;

use super::Target;
use crate::failure::Stop;
use crate::output::{Block, Reply};
use crate::session::Session;

/// Write the XML of a domain
///
/// Of a running domain that is the XML it was started with, unless --stored is given.
#[derive(Debug, Args)]
pub(crate) struct Xml {
    #[command(flatten)]
    target: Target,
    /// Write the stored definition: what the next start will use
    #[arg(long)]
    stored: bool,
    /// With the passwords of its displays; they are left out otherwise
    #[arg(long)]
    security_info: bool,
}

impl Xml {
    /// Writes it.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let which = if self.stored { Which::Stored } else { Which::Current };
        let mut xml = session.block_on(async {
            let host = session.reader().await?;
            let xml = host.xml(&self.target.reference(), which).await?;
            Ok(if self.security_info {
                xml
            } else {
                without_passwords(&xml).map_err(hostler_domains::Error::from)?
            })
        })?;
        let json = json!({"xml": xml});
        if !xml.ends_with('\n') {
            xml.push('\n');
        }
        Ok(Reply::data(json, vec![Block::Document(xml)]))
    }
}
