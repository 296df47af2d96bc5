//! `hostler block copy`: a disk goes into another image.

use std::path::PathBuf;

use clap::Args;
use hostler_domains::{CopyOptions, Ending};

use super::DiskTarget;
use super::work::{self, Waiting};
use crate::failure::Stop;
use crate::output::Reply;
use crate::session::Session;

/// Copy a disk to another image, while the guest runs
///
/// What the guest writes meanwhile goes to both. The image is complete as of the moment at which the copy ends, and the guest
/// goes on as before; with --pivot it goes on with the copy.
#[derive(Debug, Args)]
pub(super) struct Copy {
    #[command(flatten)]
    target: DiskTarget,
    /// Image that the disk is copied to; it is made
    #[arg(value_name = "IMAGE")]
    to: PathBuf,
    /// Format of that image, such as raw
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Copy the active layer only; the copy stands on what that stands on
    #[arg(long)]
    shallow: bool,
    /// Use an image that is there already, and has the size of the disk
    #[arg(long)]
    reuse: bool,
    /// Let the guest go on with the copy
    #[arg(long)]
    pivot: bool,
    #[command(flatten)]
    waiting: Waiting,
}

impl Copy {
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let Self { target, to, format, shallow, reuse, pivot, waiting } = self;
        let options = CopyOptions { to, format, shallow, reuse, bandwidth: waiting.bandwidth };
        let ending = if pivot { Ending::Pivot } else { Ending::Keep };
        work::run(session, &target, &waiting, ending, async |host| {
            Ok(host.block_copy(&target.reference(), &target.target, &options).await?)
        })
    }
}
