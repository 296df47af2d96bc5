//! `hostler image`: disk images, looked at without a domain.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::view;
use crate::failure::Stop;
use crate::output::{Block, Reply};
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
    /// Show the chain of an image: each layer, its format and what lies below
    Chain(Chain),
}

/// The image whose chain is shown.
#[derive(Debug, Args)]
struct Chain {
    /// The image: the active layer of the chain
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Format of the image itself; read from its header if not given, which a start never does
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
}

impl Image {
    /// Does what was asked.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        match self.what {
            What::Chain(chain) => chain.run(session),
        }
    }
}

impl Chain {
    fn run(self, session: &Session) -> Result<Reply, Stop> {
        let chain = session.block_on(async {
            let host = session.reader().await?;
            Ok(host.image_chain(&self.file, self.format.as_deref()).await?)
        });
        let chain = chain.map_err(|stop| stop.about("image", self.file.display()))?;
        let json = json!({"layers": view::to_json(&chain.layers)?});
        Ok(Reply::data(json, vec![Block::Table(view::layers(&chain.layers))]))
    }
}
