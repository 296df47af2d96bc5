//! `hostler block resize`: another size for a disk of a running guest.

use clap::Args;
use hostler_domains::DiskResizeOptions;
use serde_json::json;

use super::DiskTarget;
use crate::commands::{size, view};
use crate::failure::Stop;
use crate::output::{Block, Reply, quantity};
use crate::session::Session;

/// Give a disk of a running guest another size
///
/// SIZE with + or - in front is added or taken off. The guest is told.
#[derive(Debug, Args)]
pub(super) struct Resize {
    #[command(flatten)]
    target: DiskTarget,
    /// New size, such as 20GiB, or +5GiB
    #[arg(value_name = "SIZE", value_parser = size::parse_change, allow_hyphen_values = true)]
    size: hostler_domains::Resize,
    /// Allow a smaller size; what lies behind the new end is lost
    #[arg(long)]
    shrink: bool,
}

impl Resize {
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let Self { target, size, shrink } = self;
        let resized = session.block_on(async {
            let host = session.owner().await?;
            let options = DiskResizeOptions { size, shrink };
            Ok(host.block_resize(&target.reference(), &target.target, options).await?)
        })?;
        let line = format!(
            "disk {} of '{}' resized from {} to {}",
            resized.target,
            resized.domain,
            quantity::size(resized.before),
            quantity::size(resized.bytes)
        );
        Ok(Reply::confirmation(json!({"disk": view::to_json(&resized)?}), vec![Block::Line(line)]))
    }
}
