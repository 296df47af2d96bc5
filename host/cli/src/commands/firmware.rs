//! `hostler firmware`: the firmware of this host, and how domains come to theirs.

mod explain;
mod list;

use clap::{Args, Subcommand};

use crate::failure::Stop;
use crate::output::Reply;
use crate::session::Session;

/// See which firmware this host has, and why a domain is given which
///
/// Firmware is described by the descriptors of its packages. Where a domain XML asks for firmware='efi', the first
/// descriptor that meets every wish is chosen when the domain is defined, and written into the definition.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Firmware {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    List(list::List),
    Explain(explain::Explain),
}

impl Firmware {
    /// Does what was asked.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        match self.what {
            What::List(command) => command.run(session),
            What::Explain(command) => command.run(session),
        }
    }
}
