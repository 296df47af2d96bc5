//! `hostler secret`: passphrases and keys that guests' disks and pools need.

mod define;
mod get;
mod list;
mod set;
mod show;
mod undefine;
mod xml;

use clap::{Args, Subcommand};
use hostler_domains::{SecretRef, SecretSummary};
use serde_json::json;

use super::view;
use crate::failure::Stop;
use crate::output::{Block, Reply};
use crate::session::Session;

/// Keep passphrases and keys
///
/// A secret has a document, which says what it is for, and a value, which is in no document. Values are kept in the state
/// directory, in files that only its owner may read. Ephemeral ones live in a daemon's memory alone: a command has none.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Secret {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Define(define::Define),
    List(list::List),
    Show(show::Show),
    Xml(xml::Xml),
    Set(set::Set),
    Get(get::Get),
    Undefine(undefine::Undefine),
}

impl Secret {
    /// Does what was asked.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        match self.what {
            What::Define(command) => command.run(session),
            What::List(command) => command.run(session),
            What::Show(command) => command.run(session),
            What::Xml(command) => command.run(session),
            What::Set(command) => command.run(session),
            What::Get(command) => command.run(session),
            What::Undefine(command) => command.run(session),
        }
    }
}

/// The secret that a command is about.
#[derive(Clone, Debug, Args)]
pub(super) struct SecretTarget {
    /// UUID of the secret, or what it is for
    #[arg(value_name = "SECRET")]
    secret: String,
}

impl SecretTarget {
    pub(super) fn reference(&self) -> SecretRef {
        SecretRef::new(self.secret.as_str())
    }
}

/// The reply of a command that changed a secret.
fn changed(secret: &SecretSummary, done: &str) -> Result<Reply, Stop> {
    let line = format!("secret {} {done}", secret.uuid);
    Ok(Reply::confirmation(json!({"secret": view::to_json(secret)?}), vec![Block::Line(line)]))
}
