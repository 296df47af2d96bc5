//! `hostler block commit`: the content of layers goes down.

use clap::Args;
use hostler_domains::{CommitOptions, Ending};

use super::DiskTarget;
use super::work::{self, Waiting};
use crate::failure::Stop;
use crate::output::Reply;
use crate::session::Session;

/// Write the content of layers into a layer below them, while the guest runs
///
/// By default everything below the active layer goes into the lowest one. With --active the active layer goes too, and
/// the guest goes on with the base. Files that are not needed any more are kept and named.
#[derive(Debug, Args)]
pub(super) struct Commit {
    #[command(flatten)]
    target: DiskTarget,
    /// Uppermost layer to commit: its number, counted from the active layer 0, or its path
    #[arg(long, value_name = "LAYER")]
    top: Option<String>,
    /// Layer that the content goes into: its number or path; the lowest by default
    #[arg(long, value_name = "LAYER")]
    base: Option<String>,
    /// Commit the active layer too
    #[arg(long)]
    active: bool,
    /// Let the guest go on with the base once all is there; the default with --active
    #[arg(long, requires = "active", conflicts_with = "keep")]
    pivot: bool,
    /// Let the guest go on with its active layer once all is in the base
    #[arg(long, requires = "active", conflicts_with = "background")]
    keep: bool,
    /// Change the base although another domain uses it
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    waiting: Waiting,
}

impl Commit {
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let Self { target, top, base, active, keep, force, waiting, .. } = self;
        let options =
            CommitOptions { top, base, active, bandwidth: waiting.bandwidth, force, relative: false };
        let ending = if keep { Ending::Keep } else { Ending::Pivot };
        work::run(session, &target, &waiting, ending, async |host| {
            Ok(host.block_commit(&target.reference(), &target.target, options).await?)
        })
    }
}
