//! `hostler net define`: stores the definition of a network.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::commands::view;
use crate::failure::Stop;
use crate::input;
use crate::output::{Block, Reply};
use crate::session::Session;

/// Store the definition of a network from its XML
///
/// Networks of every mode of libvirt can be defined. Those of mode nat, route, open and without 'forward' are made when
/// they are started; one of mode bridge uses a bridge that the host has.
#[derive(Debug, Args)]
pub(super) struct Define {
    /// File with the network XML; '-' reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Define {
    /// Stores it and says whether it is new.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let xml = input::document(&self.file, session)?;
        let defined = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.network_define(&xml).await?)
        });
        let defined = defined.map_err(|stop| stop.in_file(&self.file))?;
        defined.warnings.iter().for_each(|warning| session.output().warning(&warning.message));
        let done = if defined.created { "defined" } else { "redefined" };
        let line = format!("network '{}' {done} ({})", defined.summary.name, defined.summary.uuid);
        let json = json!({
            "network": view::to_json(&defined.summary)?,
            "created": defined.created,
            "warnings": view::to_json(&defined.warnings)?,
        });
        Ok(Reply::confirmation(json, vec![Block::Line(line)]))
    }
}
