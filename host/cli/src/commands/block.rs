//! `hostler block`: the disks of running guests.

mod cancel;
mod commit;
mod complete;
mod copy;
mod jobs;
mod limit;
mod pull;
mod resize;
mod work;

use clap::{Args, Subcommand};

use crate::failure::Stop;
use crate::output::Reply;
use crate::session::Session;

/// Commit, pull, copy, resize and limit the disks of running guests
///
/// A disk is a chain of layers: layer 0 is the active one, to which the guest writes, and each layer stands on the next.
/// 'hostler show DOMAIN' lists them. Work on a chain goes on in the hypervisor: a command that is interrupted leaves it
/// going, 'hostler block jobs' shows it, and 'hostler block cancel' gives it up.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Blocks {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Commit(commit::Commit),
    Pull(pull::Pull),
    Copy(copy::Copy),
    Resize(resize::Resize),
    #[command(visible_alias = "iotune")]
    Limit(limit::Limit),
    Jobs(jobs::Jobs),
    Complete(complete::Complete),
    Cancel(cancel::Cancel),
}

impl Blocks {
    /// Does what was asked.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        match self.what {
            What::Commit(command) => command.run(session),
            What::Pull(command) => command.run(session),
            What::Copy(command) => command.run(session),
            What::Resize(command) => command.run(session),
            What::Limit(command) => command.run(session),
            What::Jobs(command) => command.run(session),
            What::Complete(command) => command.run(session),
            What::Cancel(command) => command.run(session),
        }
    }
}

/// A disk of a domain.
#[derive(Clone, Debug, Args)]
struct DiskTarget {
    /// Name or UUID of the domain
    #[arg(value_name = "DOMAIN")]
    domain: String,
    /// Target name of the disk, such as vda
    #[arg(value_name = "TARGET")]
    target: String,
}

impl DiskTarget {
    fn reference(&self) -> hostler_domains::DomainRef {
        hostler_domains::DomainRef::new(self.domain.as_str())
    }
}
