//! Plans as command lines: what the program is started with, and what people are shown.

pub(crate) mod leaf;
#[cfg(test)]
mod tests;
pub(crate) mod write;

use leaf::{Grants, Leaves};

use crate::error::{LaunchError, LaunchErrorKind};
use crate::handle::Handle;
use crate::plan::Plan;
use crate::template::Template;
use crate::template::check::{Checked, measure_values};

/// A program's environment and arguments; `argv[0]` is the program's path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine {
    /// Variables in order.
    pub env: Vec<(String, String)>,
    /// The program and its arguments.
    pub argv: Vec<String>,
}

/// The command line as people compare it: real paths, no descriptors of ours. Sockets that the program makes
/// are shown by their names alone.
///
/// # Errors
/// [`LaunchErrorKind::PlanInvalid`] when the handles are not those of the check.
pub fn describe(checked: &Checked, handles: &[Handle]) -> Result<CommandLine, LaunchError> {
    command_line(&checked.plan, handles, &checked.template, None)
}

/// As [`describe`], for a plan that policy may refuse: to be shown and compared, never started. An option that
/// the template does not know is written keyed, its text as it is.
///
/// # Errors
/// As [`describe`]; also when a value exceeds the limits of a plan.
pub fn describe_unchecked(
    plan: &Plan,
    handles: &[Handle],
    template: &Template,
) -> Result<CommandLine, LaunchError> {
    measure_values(plan.options.iter().filter_map(|option| option.value.as_ref()))?;
    command_line(plan, handles, template, None)
}

/// The command line with `grants` in the place of handles, or for people when there are none.
pub(crate) fn command_line(
    plan: &Plan,
    handles: &[Handle],
    template: &Template,
    grants: Option<&Grants>,
) -> Result<CommandLine, LaunchError> {
    let program = match grants {
        Some(_) => template.program()?.to_owned(),
        // People can be shown a command line on a host without the program.
        None => template.data.programs.first().cloned().unwrap_or_default(),
    };
    let mut argv = vec![program.display().to_string()];
    argv.extend(template.data.writing.first_arguments.iter().cloned());
    let mut leaves = Leaves::new(template, handles, grants);
    for option in &plan.options {
        let rule = template.data.options.get(&option.name);
        let value = write::write_value(option.value.as_ref(), rule, &mut leaves)
            .map_err(|error| error.at(option.name.as_str()))?;
        argv.extend(leaves.take_new_sets());
        let prefix =
            rule.and_then(|rule| rule.prefix.as_ref()).unwrap_or(&template.data.writing.option_prefix);
        let name = format!("{prefix}{}", option.name);
        match value {
            Some(value) if rule.is_some_and(|rule| rule.joined) => argv.push(format!("{name}={value}")),
            value => argv.extend(std::iter::once(name).chain(value)),
        }
    }
    if let Some(text) = argv.iter().find(|text| text.contains('\0')) {
        let message = format!("an argument has a NUL in it: '{}'", text.escape_debug());
        return Err(LaunchError::new(LaunchErrorKind::PlanInvalid, message));
    }
    let fixed = template.data.environment.fixed.iter().map(|(name, value)| (name.clone(), value.clone()));
    let env = fixed.chain(plan.environment.iter().cloned()).collect();
    Ok(CommandLine { env, argv })
}
