//! `hostler snapshot redefine`: writes anew what is known of a snapshot.

use std::path::PathBuf;

use clap::Args;

use crate::commands::{Target, view};
use crate::failure::Stop;
use crate::input;
use crate::output::{Block, Reply};
use crate::session::Session;

/// Write anew what is known of a snapshot, and touch no image
///
/// FILE is a domainsnapshot document as 'hostler snapshot xml' writes it. The description of a snapshot can change, and what it
/// was taken from. One that was forgotten is known again if what it keeps is still there.
#[derive(Debug, Args)]
pub(super) struct Redefine {
    #[command(flatten)]
    target: Target,
    /// The document; '-' reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Take it for the snapshot that the domain goes on from
    #[arg(long)]
    current: bool,
}

impl Redefine {
    /// Writes it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let domain = self.target.reference();
        let xml = input::document(&self.file, session)?;
        let redefined = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.snapshot_redefine(&domain, &xml, self.current).await?)
        });
        let redefined = redefined.map_err(|stop| stop.in_file(&self.file))?;
        let line =
            format!("snapshot '{}' of domain '{}' redefined", redefined.summary.name, redefined.domain);
        Ok(Reply::confirmation(view::to_json(&redefined)?, vec![Block::Line(line)]))
    }
}
