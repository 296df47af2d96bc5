//! Arguments of QMP commands, from values and handles, held against the command policy.

use std::os::fd::OwnedFd;

use crate::error::LaunchError;
use crate::handle::Handle;
use crate::template::Template;
use crate::value::Value;

/// A command ready to be sent: first what its handles need, then itself.
#[derive(Debug)]
pub struct RenderedArguments {
    /// Commands to send before, each with one descriptor (`add-fd`).
    pub before: Vec<(String, serde_json::Value, OwnedFd)>,
    /// The command's own arguments.
    pub arguments: Option<serde_json::Value>,
}

/// Holds a command against the template's command policy and writes its arguments as JSON.
///
/// `next_set` numbers the descriptor sets that the hypervisor gets; start it above those of the launch (the
/// number of the launch's handles) and keep it for as long as the hypervisor lives.
///
/// # Errors
/// [`crate::LaunchErrorKind::Denied`] with the command's name and the rule.
pub fn render_arguments(
    template: &Template,
    command: &str,
    arguments: Option<&Value>,
    handles: &[Handle],
    next_set: &mut u64,
) -> Result<RenderedArguments, LaunchError> {
    let _unused = (template, arguments, handles, next_set);
    Err(LaunchError::denied(command, "not written yet"))
}
