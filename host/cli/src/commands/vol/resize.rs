//! `hostler vol resize`: gives a volume another size.

use clap::Args;
use hostler_domains::ResizeOptions;
use serde_json::json;

use super::VolumeTarget;
use crate::commands::{size, view};
use crate::failure::Stop;
use crate::output::{Block, Reply, quantity};
use crate::session::Session;

/// Give a volume another size
///
/// SIZE with + or - in front is added or taken off. Only volumes that no running guest uses.
#[derive(Debug, Args)]
pub(super) struct Resize {
    #[command(flatten)]
    target: VolumeTarget,
    /// New size, such as 20GiB, or +5GiB
    #[arg(value_name = "SIZE", value_parser = size::parse_change, allow_hyphen_values = true)]
    size: hostler_domains::Resize,
    /// Allow a smaller size; what lies behind the new end is lost
    #[arg(long)]
    shrink: bool,
    /// Set room for what is added aside at once
    #[arg(long)]
    allocate: bool,
    /// Format of the volume, where it was not made here
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
}

impl Resize {
    /// Resizes it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let options = ResizeOptions {
            size: self.size,
            shrink: self.shrink,
            allocate: self.allocate,
            format: self.format,
        };
        let resized = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.vol_resize(&self.target.pool(), &self.target.volume, &options).await?)
        })?;
        let (before, after) = (resized.capacity_before, resized.summary.capacity);
        let line = format!(
            "volume '{}' resized from {} to {}",
            resized.summary.name,
            quantity::size(before),
            quantity::size(after)
        );
        let json = json!({"volume": view::to_json(&resized.summary)?, "capacity_before": before});
        Ok(Reply::confirmation(json, vec![Block::Line(line)]))
    }
}
