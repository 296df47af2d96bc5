//! `hostler undefine`: removes the definition of a domain.

use clap::{Args, ValueEnum};
use hostler_domains::{StoreFate, StoreLeft, UndefineOptions};

use super::{Target, view};
use crate::failure::Stop;
use crate::output::{Block, Reply};
use crate::session::Session;

/// Remove the definition of a domain
///
/// A domain that runs goes on, and is forgotten when it ends. Disk images are never touched. The UEFI
/// variable store is kept, and the answer says where; a domain that is defined with the same UUID later has
/// it again. With --nvram it goes with the definition, or is archived. The state of a TPM shares its fate.
#[derive(Debug, Args)]
pub(crate) struct Undefine {
    #[command(flatten)]
    target: Target,
    /// Keep, delete or archive the UEFI variable store; without HOW, delete it
    #[arg(long, value_name = "HOW", value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "delete")]
    nvram: Option<Nvram>,
    /// Keep the UEFI variable store, as without any option
    #[arg(long, conflicts_with = "nvram")]
    keep_nvram: bool,
    /// Forget the guest that was saved as well, if one was
    #[arg(long)]
    saved_guest: bool,
    /// Forget its snapshots as well, if it has some; their images stay
    #[arg(long)]
    snapshots: bool,
}

/// What becomes of a variable store.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Nvram {
    /// It stays, and a domain with the same UUID has it again
    Keep,
    /// It goes with the definition
    Delete,
    /// It is put away, and no domain takes it up
    Archive,
}

impl Undefine {
    /// Removes it and says what became of the store.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let options =
            UndefineOptions { nvram: self.fate(), saved_guest: self.saved_guest, snapshots: self.snapshots };
        let undefined = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.undefine(&self.target.reference(), options).await?)
        })?;
        let mut blocks = vec![Block::Line(format!("domain '{}' undefined", undefined.name))];
        blocks.extend(undefined.variable_store.as_ref().map(|left| Block::Line(sentence(left))));
        let state = undefined.kept_state.as_ref();
        blocks
            .extend(state.map(|path| Block::Line(format!("the state of its TPM is in {}", path.display()))));
        Ok(Reply::confirmation(view::to_json(&undefined)?, blocks))
    }

    fn fate(&self) -> StoreFate {
        match self.nvram {
            Some(Nvram::Delete) => StoreFate::Delete,
            Some(Nvram::Archive) => StoreFate::Archive,
            Some(Nvram::Keep) | None => StoreFate::Keep,
        }
    }
}

fn sentence(left: &StoreLeft) -> String {
    let path = left.path.display();
    match left.fate {
        StoreFate::Keep => format!("its variable store is kept in {path}"),
        StoreFate::Delete => format!("its variable store {path} is deleted"),
        StoreFate::Archive => format!("its variable store is archived in {path}"),
    }
}
