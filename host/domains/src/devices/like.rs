//! A device that is meant by its element: by its place or its alias, and by what it is.

use hostler_domain::chardev::{CharBackend, Chardev};
use hostler_domain::controller::Controller;
use hostler_domain::device_info::DeviceInfo;
use hostler_domain::input::Input;
use hostler_domain::rng::{Rng, RngBackend};
use hostler_domain::watchdog::Watchdog;
use hostler_domain::{Document, Domain, NodeId};

use super::{Device, all, kind_of, with};
use crate::error::Error;

/// A document around a single device.
const BARE: &str =
    "<domain type='qemu'><name>n</name><memory>1024</memory><os><type>hvm</type></os></domain>";

/// An element as the only device of a document.
///
/// # Errors
/// [`crate::Kind::Invalid`] with the place in the element.
pub(crate) fn alone(element: &str) -> Result<Domain, Error> {
    Ok(Domain::parse(&with(BARE, element)?)?)
}

/// The first device of a document that an element describes: of what it says of place and alias nothing may differ, and it is
/// the same thing. What it leaves open differs from nothing.
///
/// # Errors
/// [`crate::Kind::Invalid`] when the element is no device, with the place in it.
pub(crate) fn like(domain: &Domain, element: &str) -> Result<Option<Device>, Error> {
    let kind = kind_of(element)?;
    let given = alone(element)?;
    let Some(meant) = all(&given).pop() else { return Ok(None) };
    let of_kind = all(domain).into_iter().filter(|device| device.kind == kind);
    let mut found = of_kind.filter(|device| {
        let (wanted, own) = (info(&given, meant.node), info(domain, device.node));
        is_there(wanted, own) && is_same((&given, meant.node), (domain, device.node))
    });
    Ok(found.next())
}

fn info(domain: &Domain, node: NodeId) -> DeviceInfo {
    let found = domain.devices.infos().find(|(other, _)| *other == node);
    found.map(|(_, info)| info.clone()).unwrap_or_default()
}

/// Whether a device is where it is looked for, under the name that it is looked for by.
fn is_there(wanted: DeviceInfo, own: DeviceInfo) -> bool {
    let place = wanted.address.filter(|address| address.is_distinct());
    let placed =
        place.is_none_or(|place| own.address.is_some_and(|own| own.to_string() == place.to_string()));
    placed && agrees(wanted.alias.as_ref(), own.alias.as_ref().or(wanted.alias.as_ref()))
}

/// Whether a value is the one that is wanted, if one is.
fn agrees<T: PartialEq>(wanted: Option<&T>, own: Option<&T>) -> bool {
    wanted.is_none() || wanted == own
}

fn is_same((given, meant): (&Domain, NodeId), (domain, node): (&Domain, NodeId)) -> bool {
    macro_rules! compare {
        ($($family:ident: $same:expr),+ $(,)?) => {
            $(if let (Some(given), Some(own)) = (
                of(&given.devices.$family, |device| device.node == meant),
                of(&domain.devices.$family, |device| device.node == node),
            ) {
                return $same(given, own);
            })+
        };
    }
    compare! {
        rngs: same_rng, watchdogs: same_watchdog, inputs: same_input, controllers: same_controller,
        channels: same_channel,
    }
    says((given.document(), meant), (domain.document(), node))
}

fn of<T>(devices: &[T], is_meant: impl Fn(&T) -> bool) -> Option<&T> {
    devices.iter().find(|device| is_meant(device))
}

fn same_rng(given: &Rng, own: &Rng) -> bool {
    let source = match (&given.backend, &own.backend) {
        (RngBackend::Random(wanted), RngBackend::Random(own)) => agrees(wanted.as_ref(), own.as_ref()),
        (wanted, own) => wanted == own,
    };
    given.model == own.model && source && given.rate == own.rate
}

fn same_watchdog(given: &Watchdog, own: &Watchdog) -> bool {
    given.model == own.model && given.action == own.action
}

fn same_input(given: &Input, own: &Input) -> bool {
    given.kind == own.kind
        && agrees(given.bus.as_ref(), own.bus.as_ref())
        && agrees(given.model.as_ref(), own.model.as_ref())
        && agrees(given.source.as_ref(), own.source.as_ref())
}

/// A controller is the one of its type with its index.
fn same_controller(given: &Controller, own: &Controller) -> bool {
    given.kind == own.kind && given.index.unwrap_or(0) == own.index.unwrap_or(0)
}

fn same_channel(given: &Chardev, own: &Chardev) -> bool {
    let source = match (&given.source.backend, &own.source.backend) {
        // Where a terminal or a socket is that the host chooses a place for is true for one run only.
        (CharBackend::Pty { .. }, CharBackend::Pty { .. })
        | (CharBackend::Unix { path: None, .. }, CharBackend::Unix { .. }) => true,
        (wanted, own) => wanted == own,
    };
    let (wanted, target) = (&given.target, &own.target);
    source
        && wanted.kind == target.kind
        && wanted.name == target.name
        && wanted.address == target.address
        && agrees(wanted.port.as_ref(), target.port.as_ref())
}

/// Whether an element says everything that another does.
fn says((given, wanted): (&Document, NodeId), (document, own): (&Document, NodeId)) -> bool {
    let attributes = given.attributes(wanted);
    let same = attributes.iter().all(|one| document.attribute(own, &one.name) == Some(one.value.as_str()));
    let text = given.text(wanted);
    let mut children =
        given.elements(wanted).filter(|child| !matches!(given.name(*child), "alias" | "address"));
    same && (text.trim().is_empty() || text.trim() == document.text(own).trim())
        && children.all(|child| {
            let mut named = document.elements(own).filter(|other| document.name(*other) == given.name(child));
            named.any(|other| says((given, child), (document, other)))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const XML: &str = "<domain type='qemu'><name>n</name><memory>1024</memory><os><type>hvm</type></os><devices>\
        <rng model='virtio'><backend model='random'>/dev/urandom</backend><alias name='rng0'/><address type='pci' bus='0x05'/></rng>\
        <rng model='virtio'><rate bytes='9'/><backend model='builtin'/><alias name='rng1'/><address type='pci' bus='0x06'/></rng>\
        <watchdog model='i6300esb' action='poweroff'/><controller type='scsi' index='1' model='virtio-scsi'/>\
        <channel type='unix'><source mode='bind' path='/x'/><target type='virtio' name='a'/></channel>\
        <input type='tablet' bus='usb'><address type='usb' bus='0' port='1'/></input>\
        <sound model='ich6'><codec type='micro'/></sound></devices></domain>";

    fn found(element: &str) -> Option<u32> {
        like(&Domain::parse(XML).unwrap(), element).unwrap().map(|device| device.place)
    }

    #[test]
    fn device_is_what_its_element_says_and_where() {
        assert_eq!(found("<rng model='virtio'><backend model='random'/></rng>"), Some(0));
        assert_eq!(found("<rng model='virtio'><backend model='random'>/dev/random</backend></rng>"), None);
        assert_eq!(found("<rng model='virtio'><backend model='builtin'/></rng>"), None, "it has a limit");
        let limited = "<rng model='virtio'><rate bytes='9'/><backend model='builtin'/>";
        assert_eq!(found(&format!("{limited}</rng>")), Some(1));
        assert_eq!(found(&format!("{limited}<address type='pci' bus='0x06'/></rng>")), Some(1));
        assert_eq!(found(&format!("{limited}<address type='pci' bus='0x07'/></rng>")), None);
        assert_eq!(found(&format!("{limited}<alias name='rng0'/></rng>")), None);
    }

    #[test]
    fn each_kind_is_known_by_its_own() {
        assert_eq!(found("<watchdog model='i6300esb'/>"), None, "it does something else");
        assert_eq!(found("<watchdog model='i6300esb' action='poweroff'/>"), Some(2));
        assert_eq!(found("<controller type='scsi' index='1'/>"), Some(3));
        assert_eq!(found("<controller type='scsi' index='0'/>"), None);
        assert_eq!(found("<channel type='unix'><target type='virtio' name='a'/></channel>"), Some(4));
        assert_eq!(found("<channel type='pty'><target type='virtio' name='a'/></channel>"), None);
        assert_eq!(found("<input type='tablet'/>"), Some(5));
        assert_eq!(found("<input type='mouse'/>"), None);
        assert_eq!(found("<sound model='ich6'/>"), Some(6));
        assert_eq!(found("<sound model='ich6'><codec type='duplex'/></sound>"), None);
        assert!(like(&Domain::parse(XML).unwrap(), "<domain/>").is_err());
    }
}
