//! Starting a hypervisor under a shim.

use std::path::PathBuf;
use std::time::Duration;

use hostler_state::RunDir;

use super::client::ShimClient;
use crate::error::{LaunchError, LaunchErrorKind};
use crate::handle::Handle;
use crate::template::check::Checked;

/// What a launch needs to know besides its plan.
#[derive(Clone, Debug)]
pub struct LaunchContext {
    /// The `hostler-shim` program: an absolute path from the host's configuration, never searched for.
    pub shim: PathBuf,
    /// The domain's name, for the event log.
    pub domain_name: String,
}

/// Freezes the checked plan, starts it under a shim and waits until the monitor answers.
///
/// # Errors
/// [`LaunchErrorKind::Busy`] when the domain runs; [`LaunchErrorKind::HypervisorFailed`] with the program's last
/// words when it ended at once; [`LaunchErrorKind::TimedOut`] when `deadline` passed (the program is ended).
pub fn launch(
    run: &RunDir,
    context: &LaunchContext,
    checked: Checked,
    handles: Vec<Handle>,
    deadline: Duration,
) -> Result<ShimClient, LaunchError> {
    let _unused = (run, context, checked, handles, deadline);
    Err(LaunchError::new(LaunchErrorKind::ShimFailed, "not written yet"))
}
