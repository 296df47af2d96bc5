//! `hostler secret define`: stores the definition of a secret.

use std::path::PathBuf;

use clap::Args;

use super::changed;
use crate::exit::Exit;
use crate::failure::{Failure, Stop};
use crate::input;
use crate::output::Reply;
use crate::session::Session;

/// Store the definition of a secret from its XML
///
/// The value comes afterwards, with 'hostler secret set'.
#[derive(Debug, Args)]
pub(super) struct Define {
    /// File with the secret XML; '-' reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Define {
    /// Stores it and says whether it is new.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let xml = input::document(&self.file, session)?;
        let defined = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.secret_define(&xml).await?)
        });
        let defined = defined.map_err(|stop| stop.in_file(&self.file))?;
        if defined.summary.ephemeral {
            let message = "an ephemeral secret is there for as long as the process that keeps it, which is this command";
            return Err(Failure::new("secret.ephemeral", Exit::Failed, message)
                .users()
                .hint("define it through a daemon (virsh secret-define), or without ephemeral='yes'", None)
                .into());
        }
        changed(&defined.summary, if defined.created { "defined" } else { "redefined" })
    }
}
