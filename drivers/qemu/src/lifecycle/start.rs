//! Starting a domain.

use hostler_sdk::domain::Domain as Document;
use hostler_sdk::domain::LifecycleAction;
use hostler_sdk::{Command, Domain, Error, Fact, Monitor, MonitorExt, Process, Value, fact};

use super::hotplug::limits;
use super::notes::{self, Note};
use super::plan::{self, Plan};
use super::{displays, monitor_state, passphrase};
use crate::alias::{self, Aliases};

/// Starts the hypervisor with its processors stopped, sets what only a monitor can set, and lets it go.
///
/// # Errors
/// What the document asks for and cannot be had; what the host or the hypervisor answers. The host then
/// undoes the launch.
pub(crate) fn start(domain: &Domain, options: &[Fact]) -> Result<(), Error> {
    let paused = is_paused(options);
    let (_, monitor) = launch(domain, plan::plan(domain)?, paused)?;
    go(domain, &monitor, paused, "started")
}

/// Starts the hypervisor with its processors stopped, and sets what only a monitor can set.
///
/// # Errors
/// As [`start`].
pub(super) fn launch(domain: &Domain, mut plan: Plan, paused: bool) -> Result<(Process, Monitor), Error> {
    notes::clear(domain)?;
    if paused {
        notes::add(domain, Note::HeldBack)?;
    }
    domain.name_devices(&alias::by_place(&plan.document))?;
    let submitted = plan.launch.submit(domain, &mut plan.resources);
    let process = submitted
        .map_err(|error| passphrase::of_launch(displays::explained(error, &plan.document), &plan.launch))?;
    let monitor = domain.monitor()?;
    set_up(&plan.document, &monitor)?;
    displays::open(domain, &plan.document, &monitor, &mut plan.resources)?;
    Ok((process, monitor))
}

/// Lets the processors go, unless they are to stay stopped, and tells of it under this name.
///
/// # Errors
/// What the monitor answers; `timed-out` when they do not go.
pub(super) fn go(domain: &Domain, monitor: &Monitor, paused: bool, event: &str) -> Result<(), Error> {
    if paused {
        domain.emit(event, &[fact("paused", "yes")]);
        return Ok(());
    }
    monitor_state::run_and_wait(monitor, "cont", &["RESUME"])?;
    domain.emit(event, &[]);
    Ok(())
}

/// Whether a start is to leave the processors stopped.
pub(super) fn is_paused(options: &[Fact]) -> bool {
    options.iter().any(|option| option.key == "paused" && option.value == "yes")
}

/// Everything at once: the answers come in the same order.
///
/// # Errors
/// What the monitor answers.
fn set_up(document: &Document, monitor: &Monitor) -> Result<(), Error> {
    let aliases = alias::assign(document);
    let mut commands = commands(document, &aliases);
    commands.extend(limits::commands(monitor, document, &aliases)?);
    if commands.is_empty() {
        return Ok(());
    }
    monitor.run_all(&commands).into_iter().try_for_each(|answer| answer.map(drop))
}

/// What no option of the program says.
fn commands(document: &Document, aliases: &Aliases) -> Vec<Command> {
    let mut commands = displays::passwords(document);
    if document.on_reboot == LifecycleAction::Destroy {
        commands.push(Command::new("set-action").with("reboot", "shutdown"));
    }
    for interface in document.devices.interfaces.iter().filter(|interface| interface.link_up == Some(false)) {
        let name = aliases.get(interface.node).unwrap_or_default();
        commands.push(Command::new("set_link").with("name", name).with("up", false));
    }
    if let Some(balloon) = document.devices.memballoon.as_ref().filter(|balloon| balloon.model != "none") {
        if let Some(period) = balloon.stats_period_s.filter(|period| *period > 0) {
            let name = aliases.get(balloon.node).unwrap_or_default();
            commands.push(
                Command::new("qom-set")
                    .with("path", format!("/machine/peripheral/{name}"))
                    .with("property", "guest-stats-polling-interval")
                    .with("value", Value::from(period)),
            );
        }
        if document.current_memory < document.memory {
            commands.push(Command::new("balloon").with("value", document.current_memory.0));
        }
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_option_says_is_said_to_the_monitor() {
        let document = Document::parse(
            "<domain type='qemu'><name>n</name><memory unit='MiB'>64</memory><currentMemory unit='MiB'>32</currentMemory>\
             <os><type>hvm</type></os><on_reboot>destroy</on_reboot><devices>\
             <interface type='user'><mac address='52:54:00:00:00:01'/><link state='down'/></interface>\
             <memballoon model='virtio'><stats period='5'/></memballoon></devices></domain>",
        )
        .unwrap();
        let commands = commands(&document, &alias::assign(&document));
        let names: Vec<_> = commands.iter().map(|command| command.name.as_str()).collect();
        assert_eq!(names, ["set-action", "set_link", "qom-set", "balloon"]);
        let argument =
            |index: usize, key: &str| commands[index].arguments.as_ref().unwrap().get(key).cloned();
        assert_eq!(argument(1, "name"), Some(Value::from("net0")));
        assert_eq!(argument(3, "value"), Some(Value::from(32_u64 << 20)));
    }
}
