//! `hostler pool define`: stores the definition of a pool.

use std::path::PathBuf;

use clap::Args;

use super::stored;
use crate::failure::Stop;
use crate::input;
use crate::output::Reply;
use crate::session::Session;

/// Store the definition of a pool from its XML
///
/// Pools of every type of libvirt can be defined; those of type dir, fs, netfs and logical can be started.
#[derive(Debug, Args)]
pub(super) struct Define {
    /// File with the pool XML; '-' reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Define {
    /// Stores it and says whether it is new.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let xml = input::document(&self.file, session)?;
        let defined = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.pool_define(&xml).await?)
        });
        let defined = defined.map_err(|stop| stop.in_file(&self.file))?;
        stored(&defined, if defined.created { "defined" } else { "redefined" }, session)
    }
}
