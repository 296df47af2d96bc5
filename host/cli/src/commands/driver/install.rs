//! `hostler driver install`: takes a driver into the state directory.

use std::path::{Path, PathBuf};

use clap::Args;
use hostler_domains::{DriverPlan, PlanOptions};
use serde_json::json;

use super::{in_use, plan};
use crate::commands::view;
use crate::exit::Exit;
use crate::failure::Stop;
use crate::output::{Block, Reply};
use crate::session::Session;

/// Install a driver: show what it is and asks for, then take it into the state directory
///
/// The driver is kept under its digest, which is checked each time it is loaded. What it asks for and the
/// policy does not give it needs your consent, which is kept as a grant of yours (see 'driver grant').
/// A registry is spoken to as whoever is logged in there (docker login, podman login), and unencrypted only when it
/// is on this machine.
#[derive(Debug, Args)]
pub(super) struct Install {
    /// The driver: a component, a folder with one, an OCI layout, or oci://HOST/NAME:TAG in a registry
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    choices: Choices,
}

/// What may be said to an installation beforehand.
#[derive(Debug, Args)]
pub(super) struct Choices {
    /// Choose one of several drivers in an OCI layout
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Give the driver what it asks for, without a question
    #[arg(long, short = 'y')]
    yes: bool,
    /// Let an older version take the place of a newer one
    #[arg(long)]
    allow_older: bool,
    /// Give it the domain types that another driver takes
    #[arg(long)]
    take_types: bool,
}

impl Install {
    /// Shows the plan, asks where that is needed, and installs.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let plan = self.choices.plan(&self.file, None, session)?;
        self.choices.carry_out(&plan, session, "installed")
    }
}

impl Choices {
    /// Reads the driver.
    pub(super) fn plan(
        &self,
        file: &Path,
        name: Option<String>,
        session: &Session,
    ) -> Result<DriverPlan, Stop> {
        let (older, take_types) = (self.allow_older, self.take_types);
        let options = PlanOptions { tag: self.tag.clone(), name, older, take_types };
        session
            .block_on(async { Ok(session.reader().await?.driver_plan(file, options).await?) })
            .map_err(|stop| stop.about("path", file.display()))
    }

    /// Does what a plan says, after it was shown.
    pub(super) fn carry_out(&self, plan: &DriverPlan, session: &Session, done: &str) -> Result<Reply, Stop> {
        if self.dry_run {
            let exit = if plan.problems.is_empty() { Exit::Success } else { Exit::Refused };
            let mut blocks = plan::blocks(plan);
            blocks.push(Block::Heading("Nothing was done".to_owned()));
            return Ok(Reply::data(json!({"plan": view::to_json(plan)?}), blocks).exit_with(exit));
        }
        session.output().before(plan::without_problems(plan));
        plan.accepted().map_err(Stop::from)?;
        let asked = || session.output().ask("Install it, with everything that it asks for?").unwrap_or(false);
        let consented = self.yes || (!plan.consent.is_empty() && asked());
        let changed =
            session.block_on(async { Ok(session.owner().await?.driver_install(plan, consented).await?) })?;
        let line = match changed.changed {
            true => format!("driver '{}' {done}: {}", changed.name, in_use(&changed)),
            false => format!("driver '{}' is installed already: {}", changed.name, in_use(&changed)),
        };
        let json = json!({"driver": view::to_json(&changed)?, "plan": view::to_json(plan)?});
        Ok(Reply::confirmation(json, vec![Block::Line(line)]))
    }
}
