//! What holds for every completion.

use std::collections::BTreeSet;

use hostler_sdk::Error;
use hostler_sdk::domain::address::{Address, PciAddress};
use hostler_sdk::domain::{Document, Domain, Fragment, NodeId};
use proptest::prelude::*;

use super::{completed, domain};
use crate::alias::assign;
use crate::complete::complete;
use crate::complete::draft::Draft;

/// Devices of every kind of place; `N` becomes a letter that no other device of the domain has.
const DEVICES: &[&str] = &[
    "<disk type='block'><target dev='vdN' bus='virtio'/></disk>",
    "<disk type='block'><target dev='sdN' bus='scsi'/></disk>",
    "<disk type='block'><target dev='sdN' bus='sata'/></disk>",
    "<disk type='block'><target dev='sdN' bus='usb'/></disk>",
    "<interface type='user'/>",
    "<interface type='user'><model type='virtio'/></interface>",
    "<interface type='user'><model type='virtio-transitional'/></interface>",
    "<interface type='user'><model type='e1000e'/></interface>",
    "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>",
    "<sound model='ich9'/>",
    "<sound model='ac97'/>",
    "<video><model type='qxl'/></video>",
    "<input type='tablet' bus='usb'/>",
    "<input type='keyboard' bus='virtio'/>",
    "<hub type='usb'/>",
    "<channel type='pty'><target type='virtio' name='N'/></channel>",
    "<serial type='pty'/>",
    "<console type='pty'><target type='virtio'/></console>",
    "<controller type='scsi' model='virtio-scsi'/>",
    "<controller type='usb' model='ich9-ehci1'/><controller type='usb' model='ich9-uhci1'/>",
    "<graphics type='vnc'/>",
    "<filesystem type='mount'><source dir='/'/><target dir='N'/></filesystem>",
    "<watchdog model='i6300esb'/>",
    "<smartcard mode='host'/>",
    "<shmem name='N'><model type='ivshmem-plain'/></shmem>",
];

fn device(choice: usize, position: usize) -> String {
    let letter = char::from(b'a' + u8::try_from(position % 26).unwrap());
    let device = DEVICES[choice % DEVICES.len()];
    ["'vdN'", "'sdN'", "'N'"].iter().fold(device.to_owned(), |device, pattern| {
        device.replace(pattern, &pattern.replace('N', &letter.to_string()))
    })
}

fn devices() -> impl Strategy<Value = String> {
    proptest::collection::vec(0..DEVICES.len(), 0..25).prop_map(|choices| {
        let numbered = choices.into_iter().enumerate();
        let all: Vec<_> =
            numbered.map(|(position, choice)| format!("    {}\n", device(choice, position))).collect();
        // Some devices can be there only once.
        let mut seen = BTreeSet::new();
        all.into_iter().filter(|device| !device.contains("watchdog") || seen.insert(device.clone())).collect()
    })
}

fn machine() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("pc"), Just("q35")]
}

/// Every device with a place, the kind of its bus told apart.
fn places(domain: &Domain) -> Vec<(NodeId, String, Address)> {
    let document = domain.document();
    let draft = Draft::new(document.clone()).unwrap();
    let devices = document.child(document.root(), "devices").unwrap();
    let place = |node| {
        let place = draft.place(node)?;
        let place = match place {
            Address::Pci(pci) => Address::Pci(PciAddress { multifunction: None, ..pci }),
            place => place,
        };
        Some((node, draft.child_get(node, "target", "bus").unwrap_or_default().to_owned(), place))
    };
    document.elements(devices).filter_map(place).collect()
}

fn keeps_all(before: &Document, after: &Document, node: NodeId) -> Result<(), TestCaseError> {
    for attribute in before.attributes(node) {
        prop_assert_eq!(after.attribute(node, &attribute.name), Some(attribute.value.as_str()));
    }
    let kept: Vec<_> = after.elements(node).collect();
    for child in before.elements(node) {
        prop_assert!(kept.contains(&child), "{} is gone", before.path(child));
        keeps_all(before, after, child)?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn completing_twice_is_completing_once(machine in machine(), devices in devices()) {
        let once = completed(&domain(machine, &devices)).to_xml();
        prop_assert_eq!(completed(&once).to_xml(), once);
    }

    #[test]
    fn no_two_devices_share_a_place_or_an_alias(machine in machine(), devices in devices()) {
        let domain = completed(&domain(machine, &devices));
        let mut seen = BTreeSet::new();
        for (node, bus, place) in places(&domain) {
            prop_assert!(seen.insert(format!("{bus} {place:?}")), "{}: {place:?}", domain.document().path(node));
        }
        let mut aliases = BTreeSet::new();
        for (node, alias) in assign(&domain).iter() {
            // A console that is the first serial port, and the parts of a USB controller, share a name.
            let shared = domain.document().name(node) == "console"
                || domain.document().attribute(node, "model").is_some_and(|model| model.starts_with("ich9-uhci"));
            prop_assert!(shared || aliases.insert(alias.to_owned()), "{alias} is used twice");
        }
    }

    #[test]
    fn a_device_that_is_added_moves_no_other(machine in machine(), devices in devices(), added in 0..DEVICES.len()) {
        let before = completed(&domain(machine, &devices));
        let mut grown = before.clone();
        let fragment = device(added, 25);
        prop_assume!(!fragment.contains("watchdog") && fragment.matches("<controller").count() < 2);
        let parent = before.devices.node.unwrap();
        grown.document_mut().append_child(parent, &fragment).unwrap();
        grown.refresh().unwrap();
        let after = match complete(grown, |bytes| bytes.fill(7)) {
            Ok(after) => places(&after),
            // Where every USB port has a device, there is none for a hub: nothing may be moved to make room.
            // A smartcard reader is a USB device too.
            Err(Error::Invalid(problem)) if problem.code == "qemu.address-full" => {
                prop_assert!(fragment.contains("usb") || fragment.contains("smartcard"), "{problem:?}");
                return Ok(());
            }
            Err(error) => return Err(TestCaseError::fail(format!("{error:?}"))),
        };
        for place in places(&before) {
            prop_assert!(after.contains(&place), "{place:?} moved");
        }
    }

    #[test]
    fn what_the_author_wrote_stays(machine in machine(), devices in devices()) {
        let before = Document::parse(&domain(machine, &devices)).unwrap();
        let after = completed(&domain(machine, &devices));
        keeps_all(&before, after.document(), before.root())?;
    }
}

#[test]
fn a_device_placed_by_hand_stays_there() {
    let rng = Fragment::new("rng").attribute("model", "virtio");
    let rng = rng.child(Fragment::new("backend").attribute("model", "random").text("/dev/urandom"));
    let place = PciAddress::new(0, 9, 0);
    let rng = rng.child(Address::Pci(place).to_fragment());
    let domain = completed(&domain("pc", &rng.to_xml()));
    assert!(places(&domain).iter().any(|(_, _, found)| *found == Address::Pci(place)));
}
