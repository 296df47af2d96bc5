//! `hostler snapshot`: keeps domains as they are, and takes them back.

mod create;
mod delete;
mod list;
mod redefine;
mod revert;
mod show;
mod xml;

use clap::{Args, Subcommand};
use hostler_domains::{DomainRef, SnapshotKind, SnapshotState};

use super::Target;
use crate::failure::Stop;
use crate::output::Reply;
use crate::session::Session;

/// Keep domains as they are, and take them back
///
/// An internal snapshot keeps data within qcow2 images. An external one leaves the images as they are: what
/// is written from then on goes to overlays above them.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Snapshot {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Create(create::Create),
    List(list::List),
    Show(show::Show),
    Xml(xml::Xml),
    Redefine(redefine::Redefine),
    Revert(revert::Revert),
    Delete(delete::Delete),
}

impl Snapshot {
    /// Does what was asked.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        match self.what {
            What::Create(command) => command.run(session),
            What::List(command) => command.run(session),
            What::Show(command) => command.run(session),
            What::Xml(command) => command.run(session),
            What::Redefine(command) => command.run(session),
            What::Revert(command) => command.run(session),
            What::Delete(command) => command.run(session),
        }
    }
}

/// The snapshot that a command is about.
#[derive(Debug, Args)]
struct SnapshotTarget {
    #[command(flatten)]
    domain: Target,
    /// Name of the snapshot
    #[arg(value_name = "SNAPSHOT")]
    snapshot: String,
}

impl SnapshotTarget {
    fn domain(&self) -> DomainRef {
        self.domain.reference()
    }
}

fn kind(kind: SnapshotKind) -> &'static str {
    match kind {
        SnapshotKind::Internal => "internal",
        SnapshotKind::External => "external",
    }
}

fn state(state: SnapshotState) -> &'static str {
    match state {
        SnapshotState::Off => "off",
        SnapshotState::Running => "running",
        SnapshotState::Paused => "paused",
        SnapshotState::DiskOnly => "disks only",
    }
}

#[cfg(test)]
mod samples {
    use hostler_domains::{SnapshotKind, SnapshotState, SnapshotSummary};

    /// A snapshot of that name, taken from another.
    pub(crate) fn snapshot(name: &str, parent: Option<&str>) -> SnapshotSummary {
        SnapshotSummary {
            name: name.into(),
            parent: parent.map(Into::into),
            description: None,
            created_unix_ms: 1_700_000_000_000,
            kind: SnapshotKind::External,
            state: SnapshotState::Off,
            current: parent.is_some(),
            being_deleted: false,
        }
    }
}
