//! `hostler driver build`: makes a component of a project, and tells what a host would make of it.

use std::path::PathBuf;

use clap::Args;
use hostler_author::Watched;
use serde_json::json;

use super::{author, check};
use crate::commands::view;
use crate::failure::Stop;
use crate::output::{Format, Reply, quantity};
use crate::session::Session;

/// Build the driver in a project: compile it, make a component of it, and judge that as 'driver check' does
///
/// Cargo compiles it for wasm32-unknown-unknown with the project's profile 'component' (without one: 'release'). What cargo
/// says goes to standard error, or with JSON output and --quiet into the error if it fails.
#[derive(Debug, Args)]
pub(super) struct Build {
    /// The project's directory
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// Write the component to FILE, or into it if it is a directory; default: NAME.wasm in the project
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Build {
    /// Builds; the exit status says whether a host would refuse it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let output = session.output();
        let watched = output.format() == Format::Table && !output.is_quiet();
        let watched = if watched { Watched::Yes } else { Watched::No };
        let built =
            hostler_author::build(&self.directory, self.out.as_deref(), watched).map_err(author::stop)?;
        let judged = check::judge(session, &built.path, None)?;
        let line = format!(
            "driver '{}' built: {} ({})",
            built.name.as_deref().unwrap_or("unknown"),
            built.path.display(),
            quantity::size(built.size)
        );
        let json =
            json!({"built": view::to_json(&built)?, "verdict": judged.verdict(), "plan": judged.to_json()?});
        Ok(author::made(&judged, json, line, &built.path))
    }
}
