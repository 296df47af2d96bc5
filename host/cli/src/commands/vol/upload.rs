//! `hostler vol upload`: fills a volume from a file.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use hostler_domains::Window;
use serde_json::json;

use super::VolumeTarget;
use crate::commands::{size, view};
use crate::failure::{Failure, Stop};
use crate::output::{Block, Reply, quantity};
use crate::session::Session;

/// Fill a volume from a file
///
/// The volume changes at once, when all of it is there and is an image of the recorded format. With --offset
/// or --length, that part is overwritten in its place.
#[derive(Debug, Args)]
pub(super) struct Upload {
    #[command(flatten)]
    target: VolumeTarget,
    /// File with the content; '-' reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where in the volume to begin
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    offset: Option<u64>,
    /// How much to write
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    length: Option<u64>,
}

impl Upload {
    /// Fills it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let (from, expected) = open(&self.file, session)?;
        let part = self.offset.is_some() || self.length.is_some();
        let window = part.then(|| Window { offset: self.offset.unwrap_or(0), length: self.length });
        let progress = session.output().progress(&format!("filling '{}'", self.target.volume));
        let moved = session.block_on(async {
            let host = session.owner().await?;
            let (pool, volume) = (self.target.pool(), &self.target.volume);
            Ok(host.vol_upload(&pool, volume, from, (window, expected), progress.teller()).await?)
        });
        drop(progress);
        let moved = moved?;
        let line = format!("{} written to volume '{}'", quantity::size(moved.bytes), moved.volume);
        let json = json!({"moved": view::to_json(&moved)?});
        Ok(Reply::confirmation(json, vec![Block::Line(line)]))
    }
}

/// What is read, and how long it is where that can be told.
fn open(path: &Path, session: &Session) -> Result<(Box<dyn Read + Send>, Option<u64>), Stop> {
    if path == Path::new("-") {
        return Ok((session.output().streams().input(), None));
    }
    let failed = |error: &io::Error| {
        Failure::io(format!("open '{}'", path.display()), error).about("path", path.display())
    };
    let file = File::open(path).map_err(|error| failed(&error))?;
    let metadata = file.metadata().map_err(|error| failed(&error))?;
    Ok((Box::new(file), Some(metadata.len()).filter(|_| metadata.is_file())))
}
