//! `hostler driver check`: what a host makes of a driver, without installing it.

use std::path::{Path, PathBuf};

use clap::Args;
use hostler_domains::{DriverPlan, PlanOptions};
use serde_json::{Value, json};

use super::plan;
use crate::commands::view;
use crate::exit::Exit;
use crate::failure::Stop;
use crate::output::{Block, Reply};
use crate::session::Session;

/// Tell what a driver is, asks for and would be refused for, without installing it
///
/// Everything that is wrong is told at once. Nothing of the driver is compiled before its manifest, imports
/// and exports are found to be in order, and nothing of it is run.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// The driver: a component, a folder with one, an OCI layout, or oci://HOST/NAME:TAG in a registry
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Choose one of several drivers in an OCI layout
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
}

impl Check {
    /// Looks; the exit status says whether it would be refused.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let judged = judge(session, &self.file, self.tag)?;
        let mut blocks = plan::blocks(&judged.plan);
        blocks.extend(plan::items(&judged.plan));
        blocks.push(Block::Heading("Verdict".to_owned()));
        blocks.push(Block::Line(format!("  {}", judged.verdict())));
        let exit = if judged.is_refused() { Exit::Refused } else { Exit::Success };
        let json = json!({"verdict": judged.verdict(), "plan": judged.to_json()?});
        Ok(Reply::data(json, blocks).exit_with(exit))
    }
}

/// A driver, and what this host makes of it.
pub(super) struct Judged {
    /// What installing it would do.
    pub(super) plan: DriverPlan,
}

/// Looks at a driver as an installation would.
pub(super) fn judge(session: &Session, file: &Path, tag: Option<String>) -> Result<Judged, Stop> {
    let options = PlanOptions { tag, ..PlanOptions::default() };
    let plan = session
        .block_on(async { Ok(session.reader().await?.driver_plan(file, options).await?) })
        .map_err(|stop| stop.about("path", file.display()))?;
    Ok(Judged { plan })
}

impl Judged {
    /// Whether anything is against it.
    pub(super) fn is_refused(&self) -> bool {
        !self.plan.problems.is_empty()
    }

    /// The whole in a few words.
    pub(super) fn verdict(&self) -> &'static str {
        match (self.is_refused(), self.plan.consent.is_empty()) {
            (true, _) => "refused",
            (false, true) => "accepted",
            (false, false) => "accepted with your consent",
        }
    }

    /// The plan for programs.
    pub(super) fn to_json(&self) -> Result<Value, Stop> {
        view::to_json(&self.plan)
    }
}
