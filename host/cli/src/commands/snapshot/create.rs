//! `hostler snapshot create`: keeps a domain as it is now.

use std::path::PathBuf;

use clap::Args;
use hostler_domains::{NewSnapshot, SnapshotKind, SnapshotTaken};

use super::kind;
use crate::commands::{Target, view};
use crate::failure::Stop;
use crate::input;
use crate::output::{Block, Reply};
use crate::session::Session;

/// Keep a domain as it is now
///
/// Without --internal or --external the data is kept within the images if all of them are qcow2, and under
/// overlays otherwise. Of a guest that runs the memory is kept too, within the images or in a file. It is
/// whole when the command ends, or not there at all. The UEFI variable store is kept with it.
#[derive(Debug, Args)]
pub(super) struct Create {
    #[command(flatten)]
    target: Target,
    /// Name of the snapshot; by default one that tells when it was taken
    #[arg(value_name = "SNAPSHOT")]
    snapshot: Option<String>,
    /// What is to be said about it
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Take a domainsnapshot document from FILE; '-' reads standard input
    #[arg(long, value_name = "FILE")]
    xml: Option<PathBuf>,
    /// Keep the data within the images
    #[arg(long, conflicts_with = "external")]
    internal: bool,
    /// Leave the images as they are, and write to overlays from now on
    #[arg(long)]
    external: bool,
    /// Keep the disks alone of a guest that runs, as after a power cut
    #[arg(long, conflicts_with_all = ["memory", "internal"])]
    disk_only: bool,
    /// Keep the memory of a guest that runs in a file, and its disks under overlays
    #[arg(long, conflicts_with = "internal")]
    memory: bool,
    /// Have the guest write everything to its disks first, through its agent, and write on afterwards
    #[arg(long, requires = "disk_only")]
    quiesce: bool,
}

impl Create {
    /// Takes it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let file = self.xml.clone();
        let domain = self.target.reference();
        let new = self.asked(session)?;
        let progress = session.output().progress("taking the snapshot");
        let taken = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.snapshot_create(&domain, &new).await?)
        });
        drop(progress);
        let taken = taken.map_err(|stop| match &file {
            Some(file) => stop.in_file(file),
            None => stop,
        })?;
        taken.warnings.iter().for_each(|warning| session.output().warning(&warning.message));
        Ok(Reply::confirmation(view::to_json(&taken)?, lines(&taken).into_iter().map(Block::Line).collect()))
    }

    fn asked(self, session: &Session) -> Result<NewSnapshot, Stop> {
        let kind = match (self.internal, self.external) {
            (true, _) => Some(SnapshotKind::Internal),
            (_, true) => Some(SnapshotKind::External),
            _ => None,
        };
        Ok(NewSnapshot {
            name: self.snapshot,
            description: self.description,
            xml: self.xml.map(|file| input::document(&file, session)).transpose()?,
            kind,
            disk_only: self.disk_only,
            memory: self.memory,
            quiesce: self.quiesce,
        })
    }
}

fn lines(taken: &SnapshotTaken) -> Vec<String> {
    let summary = &taken.details.summary;
    let first = format!(
        "snapshot '{}' of domain '{}' taken ({})",
        summary.name,
        taken.details.domain,
        kind(summary.kind)
    );
    let overlays = taken.details.disks.iter().filter_map(|disk| {
        let overlay = disk.overlay.as_ref()?;
        Some(format!("disk {} goes on in {}", disk.target, overlay.display()))
    });
    std::iter::once(first).chain(overlays).collect()
}
