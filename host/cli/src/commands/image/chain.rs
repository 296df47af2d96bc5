//! `hostler image chain`: what an image stands on, drawn as a tree.

use clap::Args;

use super::{Looked, tree};
use crate::failure::Stop;
use crate::output::Reply;
use crate::session::Session;

/// Show the chain of an image: each layer, its format and who said so, and what lies below
///
/// The rules are those of a start. A chain that they refuse is shown as far as it goes, with the remedy.
#[derive(Debug, Args)]
pub(super) struct Chain {
    #[command(flatten)]
    image: Looked,
    /// Tell what keeps this user (a name, or UID:GID) from opening each file by its name
    #[arg(long, value_name = "USER")]
    as_user: Option<String>,
}

impl Chain {
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let Looked { file, format } = self.image;
        let chain = session.block_on(async {
            let host = session.reader().await?;
            Ok(host.image_chain(&file, format.as_deref(), self.as_user.as_deref()).await?)
        });
        let chain = chain.map_err(|stop| stop.about("image", file.display()))?;
        let reply = Reply::data(tree::json(&chain)?, tree::blocks(&chain));
        let Some(refusal) = chain.refusal else { return Ok(reply) };
        if !chain.layers.is_empty() {
            session.output().reply(&reply).map_err(|error| Stop::writing(&error))?;
        }
        Err(tree::refused(refusal, &file))
    }
}
