//! `hostler run`: boots a transient domain.

use std::path::PathBuf;

use clap::Args;
use hostler_domains::DomainRef;

use super::{console, start};
use crate::failure::Stop;
use crate::input;
use crate::output::Reply;
use crate::session::Session;

/// Boot a domain from its XML without storing the definition
///
/// The domain is transient: it is gone once it is off.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// File with the domain XML; '-' reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    how: start::How,
    /// Attach to the first console once the domain runs
    #[arg(long)]
    console: bool,
}

impl Run {
    /// Boots it; attaches if that was asked for.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let xml = input::document(&self.file, session)?;
        let progress = session.output().progress("starting a transient domain");
        let started = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.run(&xml, self.how.options()).await?)
        });
        drop(progress);
        let started = started.map_err(|stop| stop.in_file(&self.file))?;
        start::warn(session, &started);
        if self.console {
            let domain = DomainRef::new(started.summary.uuid.to_string());
            return console::Attachment::to(domain).run(session);
        }
        start::reply(&started)
    }
}
