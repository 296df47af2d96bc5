//! `hostler dump`: what is in a guest's memory.

use std::path::PathBuf;

use clap::Args;

use super::{Target, view};
use crate::failure::Stop;
use crate::output::{Block, Reply, quantity};
use crate::session::Session;

/// Write a guest's memory to a file, to look for a fault
///
/// The guest stands still while it is written, and goes on as before. The file can be read by you alone: everything that
/// the guest knows is in it. 'crash' and 'gdb' read it.
#[derive(Debug, Args)]
pub(crate) struct Dump {
    #[command(flatten)]
    target: Target,
    /// File to make; there must be none of that name
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Write it as FORMAT; QEMU has elf, kdump-zlib, kdump-lzo, kdump-snappy and win-dmp
    #[arg(long, value_name = "FORMAT", default_value = "elf")]
    format: String,
}

impl Dump {
    /// Writes it and says where it is.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let progress =
            session.output().progress(&format!("writing the memory of '{}'", self.target.reference()));
        let dumped = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.dump(&self.target.reference(), &self.file, &self.format).await?)
        });
        drop(progress);
        let dumped = dumped?;
        let size = quantity::size(dumped.bytes);
        let line = format!(
            "the memory of '{}' is in {} ({}, {size})",
            dumped.name,
            dumped.path.display(),
            dumped.format
        );
        Ok(Reply::confirmation(view::to_json(&dumped)?, vec![Block::Line(line)]))
    }
}
