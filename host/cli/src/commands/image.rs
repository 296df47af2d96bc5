//! `hostler image`: disk images, without a domain.

mod chain;
mod check;
mod convert;
mod create;
mod inspect;
mod probe;
mod rebase;
mod resize;
mod tree;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use hostler_domains::ImageWritten;
use serde_json::json;

use super::view;
use crate::failure::Stop;
use crate::output::{Block, Reply, quantity};
use crate::session::Session;

/// Look at disk images, and make and change them
///
/// The rules are those of a start: formats are said, never guessed, and an image names only what it may. Images of a
/// pool are better made with 'hostler vol', which remembers their formats.
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
    Create(create::Create),
    Resize(resize::Resize),
    Convert(convert::Convert),
    Rebase(rebase::Rebase),
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
            What::Create(create) => create.run(session),
            What::Resize(resize) => resize.run(session),
            What::Convert(convert) => convert.run(session),
            What::Rebase(rebase) => rebase.run(session),
        }
    }
}

/// The reply of a command that wrote one image.
fn written(image: &ImageWritten, done: &str) -> Result<Reply, Stop> {
    let below = image.backing.as_ref().map(|name| format!(", stands on {name}")).unwrap_or_default();
    let line = format!(
        "image '{}' {done} ({}, {}{below})",
        image.path.display(),
        image.format,
        quantity::size(image.virtual_size)
    );
    Ok(Reply::confirmation(json!({"image": view::to_json(image)?}), vec![Block::Line(line)]))
}
