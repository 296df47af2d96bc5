//! `hostler restore`: brings a saved guest back.

use std::path::PathBuf;

use clap::Args;

use super::start;
use crate::failure::Stop;
use crate::output::Reply;
use crate::session::Session;

/// Bring a guest back from the file that 'save' made
///
/// The domain runs with the XML that it had when its guest was saved. If it is not defined, it is
/// transient: it is gone once it is off. The file stays; a guest must not be brought back from it a
/// second time once it has written to its disks.
#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// File with the guest; one that 'virsh save' made is read as well
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    how: start::How,
}

impl Restore {
    /// Brings it back and shows with what it runs.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let progress = session.output().progress(&format!("restoring '{}'", self.file.display()));
        let started = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.restore(&self.file, self.how.options()).await?)
        });
        drop(progress);
        let started = started?;
        start::warn(session, &started);
        start::reply(&started)
    }
}
