//! Whether the cage can be built here: tried, with nothing in it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::geteuid;

use super::plan::{self, CagePlan};
use super::stage::{self, StageRequest};
use super::{CageReport, CageSetting, Wall, WallFailure, identity};
use crate::error::LaunchError;
use crate::shim::wire::after;
use crate::template::Template;

/// Time for building an empty cage, which takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Builds a cage as a start would, starts nothing in it, and lets it go.
///
/// # Errors
/// The first wall that does not stand; those before it in [`Wall::ALL`] do.
pub fn probe(shim: &Path, setting: CageSetting) -> Result<CageReport, WallFailure> {
    let reserved = if geteuid().is_root() {
        let taken = identity::reserve("probe");
        Some(taken.map_err(|error| Wall::Identity.failed("find a free user", error))?)
    } else {
        None
    };
    let landlock = setting != CageSetting::WithoutLandlock;
    let request = StageRequest {
        plan: CagePlan { landlock, ..CagePlan::default() },
        identity: reserved.as_ref().map(|reserved| reserved.uid),
        over: std::env::temp_dir(),
        argv: Vec::new(),
        env: Vec::new(),
    };
    let mut command = Command::new(shim);
    command.arg(stage::ARGUMENT).env_clear().current_dir("/").stdout(Stdio::null()).stderr(Stdio::null());
    stage::start_stage(command, &request, &[], after(PATIENCE)).map(|(_, report)| report)
}

/// Looks for everything that a template declares for its program's cage; how many files, directories and links
/// that are.
///
/// # Errors
/// [`crate::LaunchErrorKind::CageFailed`] naming what is missing; [`crate::LaunchErrorKind::ProgramMissing`].
pub fn probe_closure(template: &Template) -> Result<usize, LaunchError> {
    plan::check_closure(template)
}
