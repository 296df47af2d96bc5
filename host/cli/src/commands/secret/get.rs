//! `hostler secret get`: what a secret is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde_json::json;

use super::SecretTarget;
use crate::exit::Exit;
use crate::failure::{Failure, Stop};
use crate::output::{Block, Reply};
use crate::session::Session;

/// Write the value of a secret, in base64
///
/// The value of a private secret is told to nobody.
#[derive(Debug, Args)]
pub(super) struct Get {
    #[command(flatten)]
    target: SecretTarget,
    /// Write it as it is, which has to be a text
    #[arg(long)]
    plain: bool,
}

impl Get {
    /// Writes it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let value = session.block_on(async {
            let host = session.reader().await?;
            Ok(host.secret_get(&self.target.reference()).await?)
        })?;
        let encoded = STANDARD.encode(&*value);
        let json = json!({"value": encoded});
        if !self.plain {
            return Ok(Reply::data(json, vec![Block::Line(encoded)]));
        }
        let text = std::str::from_utf8(&value).map_err(|_| {
            let message = "the value is no text, and is written in base64 only";
            Failure::new("secret.no-text", Exit::Failed, message).users()
        })?;
        Ok(Reply::data(json, vec![Block::Document(text.to_owned())]))
    }
}
