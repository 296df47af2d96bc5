//! `hostler image resize`: gives an image another size.

use std::path::PathBuf;

use clap::Args;
use hostler_domains::ImageResizeOptions;
use serde_json::json;

use crate::commands::{size, view};
use crate::failure::Stop;
use crate::output::{Block, Reply, quantity};
use crate::session::Session;

/// Give an image another size
///
/// SIZE with + or - in front is added or taken off. Only images that no running guest uses.
#[derive(Debug, Args)]
pub(super) struct Resize {
    /// The image
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// New size, such as 20GiB, or +5GiB
    #[arg(value_name = "SIZE", value_parser = size::parse_change, allow_hyphen_values = true)]
    size: hostler_domains::Resize,
    /// Format of the image; not needed for what looks like no image format
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Allow a smaller size; what lies behind the new end is lost
    #[arg(long)]
    shrink: bool,
    /// Set room for what is added aside at once
    #[arg(long)]
    allocate: bool,
}

impl Resize {
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let Self { file, size, format, shrink, allocate } = self;
        let options = ImageResizeOptions { size, shrink, allocate, format };
        let resized = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.image_resize(&file, &options).await?)
        });
        let resized = resized.map_err(|stop| stop.about("image", file.display()))?;
        let line = format!(
            "image '{}' resized from {} to {}",
            resized.image.path.display(),
            quantity::size(resized.virtual_size_before),
            quantity::size(resized.image.virtual_size)
        );
        Ok(Reply::confirmation(json!({"image": view::to_json(&resized)?}), vec![Block::Line(line)]))
    }
}
