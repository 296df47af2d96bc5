//! Changing a device that stays.

use hostler_sdk::domain::disk::{Disk, DiskDevice};
use hostler_sdk::domain::interface::Interface;
use hostler_sdk::domain::{Domain as Document, NodeId};
use hostler_sdk::{Command, Domain, Error, Fact, Monitor, MonitorExt, ProblemExt};

use super::subject::{Subject, at};
use super::{display, limits, media, names};
use crate::argv::Plugged;

/// Children of a drive that say what is in it.
const MEDIUM: [&str; 3] = ["source", "driver", "backingStore"];

/// Makes the device at this place what the next document says.
///
/// # Errors
/// What cannot change while the guest runs; what host and monitor answer.
pub(crate) fn update(domain: &Domain, place: u32, options: &[Fact]) -> Result<(), Error> {
    let force = options.iter().any(|option| option.key == "force" && option.value == "yes");
    let now = Document::parse(&domain.config())?;
    let next = Document::parse(&domain.next_config()?)?;
    let monitor = domain.monitor()?;
    if let (Some(before), Some(graphics)) = (display::of(&now, place), display::of(&next, place)) {
        return display::change(&monitor, before, (&next, graphics));
    }
    match (Subject::at(&now, place)?, Subject::at(&next, place)?) {
        (Subject::Disk(before), Subject::Disk(disk)) if before.iotune != disk.iotune => {
            require_same(&now, before.node, &next, disk.node, &["iotune"])?;
            let aliases = names::aliases(domain, &now)?;
            limits::set(&monitor, aliases.get(before.node).unwrap_or_default(), disk)
        }
        (Subject::Disk(before), Subject::Disk(disk)) if is_drive(disk) => {
            require_same(&now, before.node, &next, disk.node, &MEDIUM)?;
            media::change(domain, &monitor, &next, (before, disk), force)
        }
        (Subject::Other(Plugged::Interface(before)), Subject::Other(Plugged::Interface(interface))) => {
            require_same(&now, before.node, &next, interface.node, &["link"])?;
            link(domain, &monitor, &next, interface)
        }
        // It was made already, by a command whose end nobody saw.
        (before, subject) if rest(&now, before.node(), &[]) == rest(&next, subject.node(), &[]) => Ok(()),
        (_, subject) => Err(at(&next, subject.node(), "it cannot change while its guest runs")
            .hint("the medium of a drive, the link of an interface and the password of a display can; change the stored definition for others")
            .unsupported()),
    }
}

fn is_drive(disk: &Disk) -> bool {
    matches!(disk.device, DiskDevice::Cdrom | DiskDevice::Floppy)
}

fn link(domain: &Domain, monitor: &Monitor, next: &Document, interface: &Interface) -> Result<(), Error> {
    let aliases = names::aliases(domain, next)?;
    let id = aliases.get(interface.node).unwrap_or_default();
    let up = interface.link_up != Some(false);
    let set = Command::new("set_link").with("name", id).with("up", up);
    monitor.run_all(&[set]).pop().transpose().map(drop)
}

/// Refuses a change of anything but these children.
fn require_same(
    now: &Document,
    before: NodeId,
    next: &Document,
    after: NodeId,
    children: &[&str],
) -> Result<(), Error> {
    if rest(now, before, children) == rest(next, after, children) {
        return Ok(());
    }
    let what = format!("nothing but its <{}> can change while its guest runs", children.join(">, <"));
    Err(at(next, after, &what).hint("change the stored definition for the rest").unsupported())
}

/// An element without these children, without an alias that nobody chose, and without blanks.
fn rest(document: &Document, node: NodeId, without: &[&str]) -> Vec<String> {
    let text = document.document();
    let of = |id: NodeId| {
        text.attributes(id)
            .iter()
            .filter(|attribute| attribute.name != "type" || id != node)
            .map(|attribute| format!("{}={}", attribute.name, attribute.value))
            .collect::<Vec<_>>()
    };
    let mut rest = of(node);
    let given = text.given_alias(node);
    let stays = |child: &NodeId| !without.contains(&text.name(*child)) && given != Some(*child);
    for child in text.elements(node).filter(stays) {
        rest.push(text.node_to_xml(child).split_whitespace().collect::<Vec<_>>().join(" "));
    }
    rest
}
