//! Commands that plug a device in, and those that take each of them back.

use hostler_sdk::{Command, Domain, Error, Launch, Level, Monitor, MonitorExt, Resources, Value, log};

/// Options of a command line that are commands too: the command, its opposite, and by what both know the thing.
const COMMANDS: [(&str, &str, &str, &str, &str); 5] = [
    ("object", "object-add", "object-del", "id", "id"),
    ("blockdev", "blockdev-add", "blockdev-del", "node-name", "node-name"),
    ("chardev", "chardev-add", "chardev-remove", "id", "id"),
    ("netdev", "netdev_add", "netdev_del", "id", "id"),
    ("device", "device_add", "device_del", "id", "id"),
];

/// One command, and the one that takes it back.
pub(super) struct Step {
    command: Command,
    undo: Command,
    /// What it makes, for a block node.
    node: Option<String>,
}

/// A launch's options as commands, in their order. Objects that are there already are not made again.
pub(super) fn of(launch: &Launch, objects: &[String]) -> Vec<Step> {
    let options = launch.options.iter().filter_map(|(option, value)| step(option, value.as_ref()?));
    options
        .filter(|step| step.command.name != "object-add" || !objects.iter().any(|id| named(step, id)))
        .collect()
}

fn named(step: &Step, id: &str) -> bool {
    step.undo.arguments.as_ref().and_then(|arguments| arguments.get("id")) == Some(&Value::from(id))
}

fn step(option: &str, value: &Value) -> Option<Step> {
    let (_, add, remove, member, argument) = COMMANDS.into_iter().find(|(name, ..)| *name == option)?;
    let name = value.get(member)?.clone();
    let node = match &name {
        Value::Text(node) if option == "blockdev" => Some(node.clone()),
        _ => None,
    };
    let command = Command { name: add.to_owned(), arguments: Some(value.clone()) };
    Some(Step { command, undo: Command::new(remove).with(argument, name), node })
}

/// The block nodes that these steps make, each before those that it refers to.
pub(super) fn nodes(steps: &[Step]) -> Vec<String> {
    steps.iter().rev().filter_map(|step| step.node.clone()).collect()
}

/// Carries out all steps, or none: what has been done is taken back, last first, when one fails.
///
/// # Errors
/// What the host or the monitor answers.
pub(super) fn run(
    steps: &[Step],
    domain: &Domain,
    monitor: &Monitor,
    resources: &mut Resources,
) -> Result<(), Error> {
    for (done, step) in steps.iter().enumerate() {
        if let Err(error) = monitor.run_with(&step.command, domain, resources) {
            undo(steps.get(..done).unwrap_or_default(), monitor);
            return Err(error);
        }
    }
    Ok(())
}

/// Takes back what has been done, last first.
pub(super) fn undo(steps: &[Step], monitor: &Monitor) {
    for step in steps.iter().rev() {
        remove(monitor, &step.undo);
    }
}

/// Removes what may be gone already, or still be needed by another device: that is no error.
pub(super) fn remove(monitor: &Monitor, command: &Command) {
    if let Some(Err(error)) = monitor.run_all(std::slice::from_ref(command)).pop() {
        log::write(Level::Debug, &format!("'{}' did nothing: {error:?}", command.name), &[]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch() -> Launch {
        let mut launch = Launch::new("t");
        launch.option("object", Value::mapping().with("qom-type", "throttle-group").with("id", "g"));
        launch.option("blockdev", Value::mapping().with("driver", "file").with("node-name", "s"));
        launch.option("blockdev", Value::mapping().with("driver", "raw").with("node-name", "f"));
        launch.option("device", Value::mapping().with("driver", "virtio-blk-pci").with("id", "d"));
        launch
    }

    #[test]
    fn options_are_commands_with_their_opposites() {
        let steps = of(&launch(), &[]);
        let names: Vec<_> =
            steps.iter().map(|step| (step.command.name.as_str(), step.undo.name.as_str())).collect();
        assert_eq!(
            names,
            [
                ("object-add", "object-del"),
                ("blockdev-add", "blockdev-del"),
                ("blockdev-add", "blockdev-del"),
                ("device_add", "device_del"),
            ]
        );
        assert_eq!(nodes(&steps), ["f", "s"]);
        assert_eq!(of(&launch(), &["g".to_owned()]).len(), 3, "the group is there already");
    }
}
