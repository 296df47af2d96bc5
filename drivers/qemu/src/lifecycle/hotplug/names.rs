//! The ids of devices of a running guest.
//!
//! Those of most kinds follow from their position when a guest starts. From the first change on they are noted, so that a
//! device that goes renames none of those behind it.

use std::collections::BTreeSet;

use hostler_sdk::domain::device_info::DeviceInfo;
use hostler_sdk::domain::given_alias::CHOSEN_PREFIX;
use hostler_sdk::domain::{Domain as Document, NodeId};
use hostler_sdk::{Domain, Error, Monitor};

use super::super::notes;
use super::machine;
use super::subject::Subject;
use crate::alias::{self, Aliases};

/// What the ids of interfaces are noted under, by their addresses in the network.
const INTERFACES: &str = "nic:";
/// What those of other devices are noted under, by their kind and their place in the machine.
const OTHERS: &str = "device:";

/// A device whose id follows from its position at a start.
struct Counted {
    node: NodeId,
    /// What its kind is noted under.
    prefix: &'static str,
    /// What it is noted under, behind that.
    key: String,
    /// What ids of its kind begin with.
    family: &'static str,
    /// The alias that its document has for it.
    told: Option<String>,
}

impl Counted {
    fn key(&self) -> String {
        format!("{}{}", self.prefix, self.key)
    }
}

/// All devices of a document whose ids follow from their positions, and that can come and go.
fn counted(document: &Document) -> Vec<Counted> {
    let devices = &document.devices;
    let text = document.document();
    let interfaces = devices.interfaces.iter().map(|interface| Counted {
        node: interface.node,
        prefix: INTERFACES,
        key: interface.mac.as_ref().map(ToString::to_string).unwrap_or_default(),
        family: "net",
        told: interface.info.alias.clone(),
    });
    let other = |family: &'static str, node: NodeId, info: &DeviceInfo| {
        // What has no place is part of the machine, which has one of each type.
        let place = info.address.as_ref().filter(|address| address.is_distinct()).map(ToString::to_string);
        let place = place.or_else(|| text.attribute(node, "type").map(str::to_owned)).unwrap_or_default();
        let key =
            format!("{family}@{place}").replace(|letter: char| letter == '=' || letter.is_whitespace(), "_");
        Counted { node, prefix: OTHERS, key, family, told: info.alias.clone() }
    };
    let mut all: Vec<_> = interfaces.collect();
    macro_rules! each {
        ($($name:literal: $family:ident),+ $(,)?) => {
            $(all.extend(devices.$family.iter().map(|device| other($name, device.node, &device.info)));)+
        };
    }
    each! { "rng": rngs, "watchdog": watchdogs, "input": inputs, "channel": channels }
    all
}

/// The ids that the devices of a document have while its guest runs. One that is not noted while others of its kind are has
/// none: it was never plugged in.
///
/// # Errors
/// What the host says when the notes cannot be read.
pub(in crate::lifecycle) fn aliases(domain: &Domain, document: &Document) -> Result<Aliases, Error> {
    let mut aliases = alias::assign(document);
    let counted = counted(document);
    for prefix in [INTERFACES, OTHERS] {
        let noted = notes::values(domain, prefix)?;
        for device in counted.iter().filter(|device| device.prefix == prefix && !noted.is_empty()) {
            let known = noted.iter().find(|(key, _)| *key == device.key);
            aliases.name(device.node, known.map(|(_, id)| id.clone()).unwrap_or_default());
        }
    }
    Ok(aliases)
}

/// A document of a running guest, with the alias of each device in its element: what it is called, and what one is to be
/// called that is to be plugged in.
///
/// # Errors
/// As for [`aliases`].
pub(in crate::lifecycle) fn named(domain: &Domain, document: &Document) -> Result<Document, Error> {
    let mut aliases = aliases(domain, document)?;
    let counted = counted(document);
    for device in &counted {
        if aliases.get(device.node).is_some_and(str::is_empty) {
            let id = chosen(device).unwrap_or_else(|| first_free(device.family, &ids(&counted, &aliases)));
            aliases.name(device.node, id);
        }
    }
    let mut text = document.document().clone();
    let Some(devices) = document.devices.node else { return Ok(document.clone()) };
    let nodes: Vec<_> = text.elements(devices).collect();
    for node in nodes {
        let Some(id) = aliases.get(node).filter(|id| !id.is_empty()) else { continue };
        text.give_alias(node, id)?;
    }
    text.locate();
    Ok(Document::from_document(text)?)
}

/// The ids of these devices, as far as they have some.
fn ids(counted: &[Counted], aliases: &Aliases) -> BTreeSet<String> {
    let ids = counted.iter().filter_map(|device| aliases.get(device.node));
    ids.filter(|id| !id.is_empty()).map(str::to_owned).collect()
}

/// The alias that a device's author chose.
fn chosen(device: &Counted) -> Option<String> {
    device.told.clone().filter(|alias| alias.starts_with(CHOSEN_PREFIX))
}

/// Notes what the devices of a document are called, before one of them goes.
///
/// # Errors
/// What the host says when that cannot be kept.
pub(super) fn pin(domain: &Domain, document: &Document) -> Result<(), Error> {
    notes::put(domain, &entries(&counted(document), &aliases(domain, document)?))
}

fn entries(counted: &[Counted], aliases: &Aliases) -> Vec<(String, Option<String>)> {
    let noted = counted.iter().map(|one| (one.key(), aliases.get(one.node).map(str::to_owned)));
    noted.filter(|(_, id)| id.as_deref() != Some("")).collect()
}

/// Chooses and notes an id for a device that is to be plugged in: its author's, or the one that its document has, or the first
/// that is free.
///
/// # Errors
/// What host and monitor answer.
pub(super) fn choose(
    domain: &Domain,
    monitor: &Monitor,
    now: &Document,
    next: &Document,
    new: Subject<'_>,
) -> Result<Aliases, Error> {
    let (present, before) = (aliases(domain, now)?, counted(now));
    let mut wanted = entries(&before, &present);
    if let Some(device) = counted(next).into_iter().find(|device| device.node == new.node()) {
        let mut used = ids(&before, &present);
        used.extend(machine::children(monitor, "/machine/peripheral")?);
        let told = device.told.clone().filter(|alias| !used.contains(alias));
        let id = chosen(&device).or(told).unwrap_or_else(|| first_free(device.family, &used));
        wanted.push((device.key(), Some(id)));
    }
    notes::put(domain, &wanted)?;
    aliases(domain, next)
}

fn first_free(family: &str, used: &BTreeSet<String>) -> String {
    (0_u32..).map(|number| format!("{family}{number}")).find(|id| !used.contains(id)).unwrap_or_default()
}

/// Forgets the id of a device that is gone.
///
/// # Errors
/// What the host says when that cannot be kept.
pub(super) fn forget(domain: &Domain, document: &Document, subject: Subject<'_>) -> Result<(), Error> {
    let gone = counted(document).into_iter().filter(|device| device.node == subject.node());
    notes::put(domain, &gone.map(|device| (device.key(), None)).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_free_when_neither_machine_nor_notes_have_it() {
        let used = ["net0", "net1", "virtio-disk0"].map(str::to_owned).into();
        assert_eq!(first_free("net", &used), "net2");
        assert_eq!(first_free("rng", &used), "rng0");
    }

    #[test]
    fn devices_are_noted_by_what_never_changes_about_them() {
        let document = Document::parse(
            "<domain type='qemu'><name>n</name><memory>65536</memory><os><type>hvm</type></os><devices>\
             <interface type='user'><mac address='52:54:00:00:00:01'/></interface>\
             <rng model='virtio'><backend model='builtin'/><address type='pci' bus='0x05'/></rng>\
             <input type='mouse' bus='ps2'/><input type='tablet' bus='usb'><address type='usb' bus='0' port='1'/></input>\
             </devices></domain>",
        )
        .unwrap();
        let keys: Vec<_> = counted(&document).iter().map(Counted::key).collect();
        assert_eq!(
            keys,
            [
                "nic:52:54:00:00:00:01",
                "device:rng@0000:05:00.0",
                "device:input@mouse",
                "device:input@usb:0:1"
            ]
        );
    }
}
