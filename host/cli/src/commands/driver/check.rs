//! `hostler driver check`: what a host makes of a driver, without installing it.

use std::path::PathBuf;

use clap::Args;
use hostler_domains::PlanOptions;
use serde_json::json;

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
    /// The driver: a component, a folder with one, or an OCI layout
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Choose one of several drivers in an OCI layout
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
}

impl Check {
    /// Looks; the exit status says whether it would be refused.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let options = PlanOptions { tag: self.tag, ..PlanOptions::default() };
        let plan = session
            .block_on(async { Ok(session.reader().await?.driver_plan(&self.file, options).await?) })
            .map_err(|stop| stop.about("path", self.file.display()))?;
        let refused = !plan.problems.is_empty();
        let mut blocks = plan::blocks(&plan);
        blocks.extend(plan::items(&plan));
        blocks.push(Block::Heading("Verdict".to_owned()));
        let verdict = match (refused, plan.consent.is_empty()) {
            (true, _) => "refused",
            (false, true) => "accepted",
            (false, false) => "accepted with your consent",
        };
        blocks.push(Block::Line(format!("  {verdict}")));
        let exit = if refused { Exit::Refused } else { Exit::Success };
        Ok(Reply::data(json!({"verdict": verdict, "plan": view::to_json(&plan)?}), blocks).exit_with(exit))
    }
}
