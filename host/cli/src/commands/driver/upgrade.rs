//! `hostler driver upgrade`: uses another version of an installed driver from the next call on.

use std::path::PathBuf;

use clap::Args;

use super::install::Choices;
use super::{DriverTarget, changed, in_use};
use crate::failure::Stop;
use crate::output::Reply;
use crate::session::Session;

/// Use another version of a driver from its next call on; its domains run on
///
/// The version before is kept, and 'driver rollback' goes back to it. A newer version that asks for more than
/// the one before needs your consent, or is refused and the one before stays.
#[derive(Debug, Args)]
pub(super) struct Upgrade {
    #[command(flatten)]
    target: DriverTarget,
    /// The new version: a component, a folder with one, an OCI layout, or oci://HOST/NAME:TAG in a registry
    #[arg(value_name = "FILE", required_unless_present = "to")]
    file: Option<PathBuf>,
    /// Use a version that is kept, by its version or digest, older or newer
    #[arg(long, value_name = "VERSION", conflicts_with = "file")]
    to: Option<String>,
    #[command(flatten)]
    choices: Choices,
}

impl Upgrade {
    /// Upgrades it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        match (&self.file, &self.to) {
            (Some(file), _) => {
                let plan = self.choices.plan(file, Some(self.target.name.clone()), session)?;
                self.choices.carry_out(&plan, session, "upgraded")
            }
            (None, to) => use_kept(session, &self.target.name, to.as_deref()),
        }
    }
}

/// Uses a version that is kept.
pub(super) fn use_kept(session: &Session, name: &str, to: Option<&str>) -> Result<Reply, Stop> {
    let done = session.block_on(async { Ok(session.owner().await?.driver_use(name, to).await?) })?;
    let line = match (done.changed, &done.previous) {
        (true, Some(previous)) => {
            format!("driver '{}' is used as {} now; before it was {previous}", done.name, in_use(&done))
        }
        _ => format!("driver '{}' is used as {} already", done.name, in_use(&done)),
    };
    changed(&done, line)
}
