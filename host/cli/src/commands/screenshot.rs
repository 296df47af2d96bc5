//! `hostler screenshot`: a picture of what a guest shows.

use std::path::PathBuf;

use clap::Args;

use super::{Target, view};
use crate::failure::Stop;
use crate::output::{Block, Reply, quantity};
use crate::session::Session;

/// Write a picture of what a guest shows to a file
#[derive(Debug, Args)]
pub(crate) struct Screenshot {
    #[command(flatten)]
    target: Target,
    /// File to make; there must be none of that name
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Take the display NUMBER, counted from 0 in the order of the video devices
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    display: u32,
}

impl Screenshot {
    /// Takes it and says what kind it is.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let taken = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.screenshot(&self.target.reference(), self.display, &self.file).await?)
        })?;
        let size = quantity::size(taken.bytes);
        let line = format!(
            "display {} of '{}' is in {} ({}, {size})",
            self.display,
            taken.name,
            taken.path.display(),
            taken.media_type
        );
        Ok(Reply::confirmation(view::to_json(&taken)?, vec![Block::Line(line)]))
    }
}
