//! `hostler media`: what is in a drive.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use hostler_domains::{Medium, MediumChange};

use super::attach::{Where, places};
use super::{Target, view};
use crate::exit::Exit;
use crate::failure::{Failure, Stop};
use crate::output::{Block, Reply};
use crate::session::Session;

/// Put a medium into a CD-ROM or floppy drive of a domain, or take it out
///
/// The drive of the guest that runs is changed, and the stored definition; --live and --config choose one of
/// both. What was in the drive stays in it if the new medium cannot be opened.
#[derive(Debug, Args)]
pub(crate) struct Media {
    #[command(flatten)]
    target: Target,
    /// The drive, by its target: sda
    #[arg(value_name = "DRIVE")]
    drive: String,
    #[command(subcommand)]
    action: Action,
}

/// What is done to the drive.
#[derive(Debug, Subcommand)]
enum Action {
    /// Put a file into the drive, in place of what is in it
    Insert(Insert),
    /// Take out what is in the drive
    Eject(Eject),
}

#[derive(Debug, Args)]
struct Insert {
    /// Image of the medium
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Format of the image: it is never guessed
    #[arg(long, value_name = "FORMAT", default_value = "raw")]
    format: String,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Args)]
struct Eject {
    #[command(flatten)]
    how: How,
}

#[derive(Clone, Copy, Debug, Args)]
struct How {
    /// Open the drive although the guest has locked it
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    scope: Where,
}

impl Media {
    /// Changes it and says what is in it.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let (medium, how) = match self.action {
            Action::Insert(Insert { file, format, how }) => {
                let path = std::path::absolute(&file)
                    .map_err(|error| Failure::io(format!("find '{}'", file.display()), &error))?;
                if path.to_str().is_none() {
                    let message = format!("'{}' is not UTF-8, as names in a domain XML are", path.display());
                    return Err(Failure::new("cli.path-encoding", Exit::Failed, message).users().into());
                }
                (Some(Medium { path, format }), how)
            }
            Action::Eject(Eject { how }) => (None, how),
        };
        let change = MediumChange { medium, force: how.force };
        let changed = session.block_on(async {
            let host = session.owner().await?;
            let reference = self.target.reference();
            Ok(host.change_medium(&reference, &self.drive, &change, how.scope.scope()).await?)
        })?;
        let done = match &change.medium {
            Some(medium) => format!("'{}' put into", medium.path.display()),
            None => "medium taken out of".to_owned(),
        };
        let line = format!("{done} drive {} of '{}'{}", self.drive, changed.summary.name, places(&changed));
        Ok(Reply::confirmation(view::to_json(&changed)?, vec![Block::Line(line)]))
    }
}
