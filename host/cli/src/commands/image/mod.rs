//! `hostler image`: disk images, without a domain.

mod chain;
mod check;
mod inspect;
mod probe;
mod tree;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::failure::Stop;
use crate::output::Reply;
use crate::session::Session;

/// Look at disk images
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Image {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Chain(chain::Chain),
    Check(check::Check),
    Inspect(inspect::Inspect),
    Probe(probe::Probe),
}

/// An image that is only looked at.
#[derive(Debug, Args)]
struct Looked {
    /// The image
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Format of the image itself; told by its content if not given, which a start never does
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
}

impl Image {
    /// Does what was asked.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        match self.what {
            What::Chain(chain) => chain.run(session),
            What::Check(check) => check.run(session),
            What::Inspect(inspect) => inspect.run(session),
            What::Probe(probe) => probe.run(),
        }
    }
}
