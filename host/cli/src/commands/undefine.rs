//! `hostler undefine`: removes the definition of a domain.

use clap::Args;
use hostler_domains::UndefineOptions;

use super::{Target, view};
use crate::failure::Stop;
use crate::output::{Block, Reply};
use crate::session::Session;

/// Remove the definition of a domain
///
/// A domain that runs goes on, and is forgotten when it ends. Disk images are never touched. The UEFI
/// variable store goes with the definition unless --keep-nvram is given.
#[derive(Debug, Args)]
pub(crate) struct Undefine {
    #[command(flatten)]
    target: Target,
    /// Keep the UEFI variable store and say where it is
    #[arg(long)]
    keep_nvram: bool,
    /// Forget the guest that was saved as well, if one was
    #[arg(long)]
    saved_guest: bool,
}

impl Undefine {
    /// Removes it and says what was kept.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let options = UndefineOptions { keep_nvram: self.keep_nvram, saved_guest: self.saved_guest };
        let undefined = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.undefine(&self.target.reference(), options).await?)
        })?;
        let mut blocks = vec![Block::Line(format!("domain '{}' undefined", undefined.name))];
        if let Some(path) = &undefined.kept_variable_store {
            blocks.push(Block::Line(format!("its variable store is kept in {}", path.display())));
        }
        Ok(Reply::confirmation(view::to_json(&undefined)?, blocks))
    }
}
