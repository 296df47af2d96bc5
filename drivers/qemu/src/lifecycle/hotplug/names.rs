//! The ids of devices of a running guest.

use hostler_sdk::domain::Domain as Document;
use hostler_sdk::domain::interface::Interface;
use hostler_sdk::{Domain, Error, Monitor};

use super::super::notes;
use super::machine;
use super::subject::Subject;
use crate::alias::{self, Aliases};

/// What the ids of interfaces are noted under, by their addresses.
const PREFIX: &str = "nic:";

fn key(interface: &Interface) -> String {
    let address = interface.mac.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("{PREFIX}{address}")
}

/// The ids that the devices of a document have while its guest runs. An interface that is not noted while others are has
/// none: it was never plugged in.
///
/// # Errors
/// What the host says when the notes cannot be read.
pub(in crate::lifecycle) fn aliases(domain: &Domain, document: &Document) -> Result<Aliases, Error> {
    let mut aliases = alias::assign(document);
    let noted = notes::values(domain, PREFIX)?;
    if noted.is_empty() {
        return Ok(aliases);
    }
    for interface in &document.devices.interfaces {
        let key = key(interface);
        let known = noted.iter().find(|(address, _)| key.strip_prefix(PREFIX) == Some(address));
        aliases.name(interface.node, known.map(|(_, id)| id.clone()).unwrap_or_default());
    }
    Ok(aliases)
}

/// Notes what the interfaces of a document are called, before one of them goes.
///
/// # Errors
/// What the host says when that cannot be kept.
pub(super) fn pin(domain: &Domain, document: &Document) -> Result<(), Error> {
    let aliases = aliases(domain, document)?;
    notes::put(domain, &entries(document, &aliases))
}

fn entries(document: &Document, aliases: &Aliases) -> Vec<(String, Option<String>)> {
    let interfaces = document.devices.interfaces.iter();
    interfaces.map(|one| (key(one), aliases.get(one.node).map(str::to_owned))).collect()
}

/// Chooses and notes an id for an interface that is to be plugged in: its author's, or the first that is free.
///
/// # Errors
/// What host and monitor answer.
pub(super) fn choose(
    domain: &Domain,
    monitor: &Monitor,
    now: &Document,
    next: &Document,
    new: &Interface,
) -> Result<Aliases, Error> {
    let present = aliases(domain, now)?;
    let mut wanted = entries(now, &present);
    let taken = machine::children(monitor, "/machine/peripheral")?;
    let own = new.info.alias.clone().filter(|alias| alias.starts_with("ua-"));
    let id = own.unwrap_or_else(|| first_free(&taken, &wanted));
    wanted.push((key(new), Some(id)));
    notes::put(domain, &wanted)?;
    aliases(domain, next)
}

fn first_free(taken: &[String], noted: &[(String, Option<String>)]) -> String {
    let used = |id: &String| taken.contains(id) || noted.iter().any(|(_, other)| other.as_ref() == Some(id));
    (0_u32..).map(|number| format!("net{number}")).find(|id| !used(id)).unwrap_or_default()
}

/// Forgets the id of an interface that is gone.
///
/// # Errors
/// What the host says when that cannot be kept.
pub(super) fn forget(domain: &Domain, subject: Subject<'_>) -> Result<(), Error> {
    match subject {
        Subject::Interface(interface) => notes::put(domain, &[(key(interface), None)]),
        Subject::Disk(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_free_when_neither_machine_nor_notes_have_it() {
        let noted = [("nic:a".to_owned(), Some("net0".to_owned())), ("nic:b".to_owned(), None)];
        assert_eq!(first_free(&["net1".to_owned(), "virtio-disk0".to_owned()], &noted), "net2");
        assert_eq!(first_free(&[], &[]), "net0");
    }
}
