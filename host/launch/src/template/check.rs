//! Holding a plan against a template, and freezing what passed.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::Template;
use super::data::{CommandRules, Descriptors, OptionRule, Syntax};
use super::matching::{Mismatch, Surroundings};
use crate::error::{LaunchError, LaunchErrorKind};
use crate::handle::{EndpointKind, Handle};
use crate::limits::{HANDLES_MAX, NAME_MAX_BYTES, PLAN_NODES_MAX, PLAN_TEXT_MAX_BYTES, VALUE_DEPTH_MAX};
use crate::plan::Plan;
use crate::value::Value;

/// A plan that passed, frozen: nothing can change it between here and the start.
#[derive(Clone, Debug)]
pub struct Checked {
    pub(crate) plan: Plan,
    pub(crate) template: Arc<Template>,
    hash: String,
    has_monitor: bool,
}

impl Checked {
    /// The BLAKE3 hash of the frozen plan (its compact JSON), in hexadecimal.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The handles that the plan names.
    pub(crate) fn named(&self) -> HashSet<usize> {
        self.plan.options.iter().filter_map(|option| option.value.as_ref()).flat_map(leaves).collect()
    }

    /// Those of them that the program opens by a path, in order.
    pub(crate) fn named_by_path(&self) -> BTreeSet<usize> {
        let has_sets = self.template.has_sets();
        let by_path = |name: &str| {
            let rule = self.template.data.options.get(name);
            rule.is_some_and(|rule| !has_sets || rule.descriptors == Descriptors::Fd)
        };
        let options = self.plan.options.iter().filter(|option| by_path(&option.name));
        options.filter_map(|option| option.value.as_ref()).flat_map(leaves).collect()
    }

    /// Whether the program has a control connection.
    #[must_use]
    pub fn has_monitor(&self) -> bool {
        self.has_monitor
    }
}

/// Holds the plan and its handles against the template. What no rule allows is refused.
///
/// # Errors
/// [`LaunchErrorKind::Denied`] naming the option and the rule; [`LaunchErrorKind::PlanInvalid`] when the plan
/// contradicts itself or exceeds a limit.
pub fn check(plan: &Plan, handles: &[Handle], template: &Arc<Template>) -> Result<Checked, LaunchError> {
    if plan.template != template.name() {
        let message = format!("the plan is for another template than '{}'", template.name());
        return Err(LaunchError::new(LaunchErrorKind::PlanInvalid, message));
    }
    measure(plan)?;
    check_handles(handles)?;
    check_options(plan, handles, template)?;
    check_environment(plan, handles, template)?;
    check_reactions(plan, &template.data.commands)?;
    let has_monitor = check_leaves(plan, handles)?;
    let canonical = plan.canonical().map_err(|error| LaunchError::io("encode the plan", error))?;
    let hash = blake3::hash(&canonical).to_hex().to_string();
    Ok(Checked { plan: plan.clone(), template: Arc::clone(template), hash, has_monitor })
}

/// Holds one of the monitor's commands against the policy, outside of an operation that has names written into headers.
#[cfg(test)]
pub(crate) fn check_command(
    template: &Template,
    command: &str,
    arguments: Option<&Value>,
    handles: &[Handle],
) -> Result<(), LaunchError> {
    check_command_of(template, command, arguments, handles, &[])
}

/// Holds one of the monitor's commands against the policy. `references` are what its operation may have written into
/// headers.
pub(crate) fn check_command_of(
    template: &Template,
    command: &str,
    arguments: Option<&Value>,
    handles: &[Handle],
    references: &[String],
) -> Result<(), LaunchError> {
    let rules = &template.data.commands;
    if let Some(arguments) = arguments {
        measure_values(std::iter::once(arguments))?;
    }
    if let Some(shape) = rules.typed.get(command) {
        let nothing = Value::Mapping(Vec::new());
        let around = Surroundings { shapes: &template.data.shapes, handles, references };
        return around.fits(arguments.unwrap_or(&nothing), shape).map_err(|found| denied(command, found));
    }
    if !rules.pass.iter().any(|name| name == command) {
        return Err(command_refused(command, rules));
    }
    let takes_handles = arguments.is_some_and(|value| leaves(value).next().is_some());
    if takes_handles {
        return Err(LaunchError::denied(command, "its arguments take no handles"));
    }
    Ok(())
}

fn command_refused(command: &str, rules: &CommandRules) -> LaunchError {
    let shown: String = command.chars().take(NAME_MAX_BYTES).flat_map(char::escape_debug).collect();
    let reason = |(prefix, why): (&str, &String)| format!("{prefix}: {why}");
    let host = rules.host.get(command).map(|why| ("only the host may send it", why));
    let rule =
        host.or_else(|| rules.denied.get(command).map(|why| ("the command is refused", why))).map(reason);
    LaunchError::denied(
        shown,
        rule.unwrap_or_else(|| "the command is not among those that are allowed".into()),
    )
    .hint("an operator can allow it in a template of their own")
}

fn denied(option: &str, found: Mismatch) -> LaunchError {
    let place = if found.place.is_empty() { option.to_owned() } else { format!("{option}.{}", found.place) };
    LaunchError::denied(place, found.rule)
}

/// Depth, size and NUL, before anything walks the plan without looking.
fn measure(plan: &Plan) -> Result<(), LaunchError> {
    let names = plan.options.iter().map(|option| option.name.as_str());
    let variables = plan.environment.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
    let reactions = plan.reactions.iter().flat_map(|reaction| &reaction.commands).map(String::as_str);
    let text: usize = names.chain(variables).chain(reactions).map(str::len).sum();
    if plan.options.len() > PLAN_NODES_MAX || text > PLAN_TEXT_MAX_BYTES {
        return Err(too_large());
    }
    measure_values(plan.options.iter().filter_map(|option| option.value.as_ref()))
}

/// As [`measure`], for values alone.
pub(crate) fn measure_values<'a>(values: impl Iterator<Item = &'a Value>) -> Result<(), LaunchError> {
    let mut waiting: Vec<(&Value, usize)> = values.map(|value| (value, 1)).collect();
    let (mut nodes, mut text) = (0_usize, 0_usize);
    let mut count = |piece: &str| {
        text = text.saturating_add(piece.len());
        if piece.contains('\0') {
            return Err(LaunchError::new(LaunchErrorKind::PlanInvalid, "a text of the plan has a NUL in it"));
        }
        if text > PLAN_TEXT_MAX_BYTES { Err(too_large()) } else { Ok(()) }
    };
    while let Some((value, depth)) = waiting.pop() {
        nodes += 1;
        if depth > VALUE_DEPTH_MAX || nodes > PLAN_NODES_MAX {
            return Err(too_large());
        }
        match value {
            Value::Text(piece) => count(piece)?,
            Value::Mapping(pairs) => pairs.iter().try_for_each(|(key, _)| count(key))?,
            _ => {}
        }
        waiting.extend(value.children().map(|child| (child, depth + 1)));
    }
    Ok(())
}

fn too_large() -> LaunchError {
    let limits = format!(
        "the plan is too large: at most {VALUE_DEPTH_MAX} levels, {PLAN_NODES_MAX} values and {PLAN_TEXT_MAX_BYTES} bytes of text"
    );
    LaunchError::new(LaunchErrorKind::PlanInvalid, limits)
}

fn check_options(plan: &Plan, handles: &[Handle], template: &Template) -> Result<(), LaunchError> {
    let around = Surroundings { shapes: &template.data.shapes, handles, references: &[] };
    let mut seen = HashSet::new();
    for option in &plan.options {
        let shown: String = option.name.chars().take(NAME_MAX_BYTES).flat_map(char::escape_debug).collect();
        let Some(rule) = template.data.options.get(&option.name) else {
            return Err(LaunchError::denied(shown, "the option is not among those that are allowed")
                .hint("an operator can allow it in a template of their own"));
        };
        if let Some(why) = &rule.refused {
            return Err(LaunchError::denied(shown, format!("the option is refused: {why}")));
        }
        if !seen.insert(option.name.as_str()) && rule.single {
            return Err(LaunchError::denied(shown, "the option may be given only once"));
        }
        check_option(&shown, option.value.as_ref(), rule, around)?;
    }
    let missing =
        template.data.options.iter().find(|(name, rule)| rule.required && !seen.contains(name.as_str()));
    match missing {
        Some((name, _)) => {
            Err(LaunchError::denied(name, "every launch of this program must have this option"))
        }
        None => Ok(()),
    }
}

fn check_option(
    name: &str,
    value: Option<&Value>,
    rule: &OptionRule,
    around: Surroundings<'_>,
) -> Result<(), LaunchError> {
    match (value, &rule.shape) {
        (None, None) => Ok(()),
        (Some(_), None) => Err(LaunchError::denied(name, "the option takes no value")),
        (None, Some(_)) => Err(LaunchError::denied(name, "the option needs a value")),
        (Some(value), Some(shape)) => {
            // A keyed option's lone value is its first, so the rules for that key hold for it.
            let whole = match (&rule.implied, value) {
                (Some(key), Value::Text(_) | Value::Integer(_) | Value::Handle(_))
                    if rule.syntax == Syntax::Keyed =>
                {
                    Some(Value::Mapping(vec![(key.clone(), value.clone())]))
                }
                _ => None,
            };
            around.fits(whole.as_ref().unwrap_or(value), shape).map_err(|found| denied(name, found))
        }
    }
}

fn check_environment(plan: &Plan, handles: &[Handle], template: &Template) -> Result<(), LaunchError> {
    let around = Surroundings { shapes: &template.data.shapes, handles, references: &[] };
    for (name, value) in &plan.environment {
        let shown: String = name.chars().take(NAME_MAX_BYTES).flat_map(char::escape_debug).collect();
        let place = format!("environment.{shown}");
        let Some(shape) = template.data.environment.allowed.get(name) else {
            return Err(LaunchError::denied(place, "the variable is not among those that may be given"));
        };
        around.fits(&Value::text(value.as_str()), shape).map_err(|found| denied(&place, found))?;
    }
    Ok(())
}

fn check_reactions(plan: &Plan, rules: &CommandRules) -> Result<(), LaunchError> {
    let commands = plan.reactions.iter().flat_map(|reaction| &reaction.commands);
    commands.into_iter().try_for_each(|command| reaction_allowed(command, rules))
}

fn reaction_allowed(command: &str, rules: &CommandRules) -> Result<(), LaunchError> {
    if rules.pass.iter().any(|name| name == command) || rules.kept.contains_key(command) {
        return Ok(());
    }
    Err(command_refused(command, rules))
}

/// Whether a running program may be told to answer an event with these commands, as a plan's reactions may.
///
/// # Errors
/// `denied` for a command that is none of those without arguments that pass; invalid for too many or too long ones.
pub fn check_reaction(
    template: &Template,
    event: &str,
    commands: &[String],
    unless: &[String],
) -> Result<(), LaunchError> {
    const WORDS_MAX: usize = 16;
    let mut words = commands.iter().chain(unless).map(String::as_str).chain([event]);
    if commands.len() > WORDS_MAX || unless.len() > WORDS_MAX || words.any(|word| word.len() > NAME_MAX_BYTES)
    {
        let message =
            format!("an event is answered by {WORDS_MAX} commands at most, with {NAME_MAX_BYTES} bytes each");
        return Err(LaunchError::new(LaunchErrorKind::PlanInvalid, message));
    }
    commands.iter().try_for_each(|command| reaction_allowed(command, &template.data.commands))
}

/// Every handle's own names, and that nothing is too many.
fn check_handles(handles: &[Handle]) -> Result<(), LaunchError> {
    if handles.len() > HANDLES_MAX {
        let message = format!("{} handles travel with the plan, at most {HANDLES_MAX}", handles.len());
        return Err(LaunchError::new(LaunchErrorKind::PlanInvalid, message));
    }
    for handle in handles {
        match handle {
            Handle::Socket(name) => check_name("socket", name)?,
            Handle::Link(name) => check_name("link", name)?,
            Handle::Viewers { alias, .. } => check_name("display", alias)?,
            Handle::Endpoint(spec) => {
                check_name("endpoint", &spec.alias)?;
                if spec.alias.contains('.') {
                    let message = format!("endpoint name '{}' has a '.' in it", spec.alias);
                    return Err(LaunchError::new(LaunchErrorKind::PlanInvalid, message));
                }
                if let EndpointKind::Other { backend, .. } = &spec.kind {
                    let rule = format!("character devices of kind '{backend}' cannot be started yet");
                    return Err(LaunchError::denied(&spec.alias, rule)
                        .hint("use one of pty, null, file, unix, tcp, udp"));
                }
            }
            Handle::Descriptor { .. } | Handle::Monitor | Handle::Tap { .. } | Handle::Ports { .. } => {}
        }
    }
    Ok(())
}

pub(super) fn check_name(what: &str, name: &str) -> Result<(), LaunchError> {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let dots = name.starts_with('.');
    if !name.is_empty() && name.len() <= NAME_MAX_BYTES && name.bytes().all(fine) && !dots {
        return Ok(());
    }
    let shown: String = name.chars().take(NAME_MAX_BYTES).flat_map(char::escape_debug).collect();
    let message =
        format!("{what} name '{shown}' is not 1 to {NAME_MAX_BYTES} letters, digits, '-', '_' or '.'");
    Err(LaunchError::new(LaunchErrorKind::PlanInvalid, message))
}

/// That every handle named exists, and that what is connected once is named once. Says whether the monitor is
/// named.
fn check_leaves(plan: &Plan, handles: &[Handle]) -> Result<bool, LaunchError> {
    let invalid = |message: String| Err(LaunchError::new(LaunchErrorKind::PlanInvalid, message));
    let (mut once, mut monitors) = (HashSet::new(), 0);
    for index in plan.options.iter().filter_map(|option| option.value.as_ref()).flat_map(leaves) {
        let Some(handle) = handles.get(index) else {
            return invalid(format!("the plan names handle {index}, and {} travel with it", handles.len()));
        };
        monitors += usize::from(matches!(handle, Handle::Monitor));
        let connected = !matches!(handle, Handle::Descriptor { .. });
        if connected && !once.insert(index) {
            return invalid(format!("the plan names handle {index} ({}) more than once", handle.kind()));
        }
    }
    if monitors > 1 {
        return invalid(format!("the plan names the monitor {monitors} times"));
    }
    Ok(monitors == 1)
}

/// The indexes of all handles below a value.
pub(crate) fn leaves(value: &Value) -> impl Iterator<Item = usize> {
    let mut waiting = vec![value];
    std::iter::from_fn(move || {
        while let Some(value) = waiting.pop() {
            if let Value::Handle(index) = value {
                return Some(*index);
            }
            waiting.extend(value.children());
        }
        None
    })
}
