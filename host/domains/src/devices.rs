//! The devices of a document: found by what users call them, added, removed, changed.

mod like;

use hostler_domain::{Document, Domain, NodeId};

use crate::error::{Error, Kind};
pub(crate) use like::{alone, like};

/// A device of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Device {
    /// Its element: `disk`.
    pub(crate) kind: String,
    /// What it is called: the target of a disk, the address of an interface, the target name of a channel, else its place in
    /// the machine (`0000:05:00.0`); a display is called by its type, and what has none of these by its alias.
    pub(crate) name: String,
    /// Which child element of `devices` it is, from 0.
    pub(crate) place: u32,
    node: NodeId,
}

impl Device {
    /// Kind and name, by which it is found again in another document: `disk vdb`.
    pub(crate) fn identity(&self) -> String {
        format!("{} {}", self.kind, self.name)
    }

    /// Its element.
    pub(crate) fn element(&self, domain: &Domain) -> String {
        domain.document().node_to_xml(self.node)
    }
}

/// All devices of a document.
pub(crate) fn all(domain: &Domain) -> Vec<Device> {
    let document = domain.document();
    let Some(devices) = domain.devices.node else { return Vec::new() };
    let described = |(place, node): (usize, NodeId)| Device {
        kind: document.name(node).to_owned(),
        name: name(domain, node),
        place: u32::try_from(place).unwrap_or(u32::MAX),
        node,
    };
    document.elements(devices).enumerate().map(described).collect()
}

fn name(domain: &Domain, node: NodeId) -> String {
    let devices = &domain.devices;
    let disk = devices.disks.iter().find(|disk| disk.node == node).map(|disk| disk.target.to_string());
    let interface = || {
        let interface = devices.interfaces.iter().find(|interface| interface.node == node)?;
        interface.mac.as_ref().map(ToString::to_string)
    };
    let channel = || devices.channels.iter().find(|channel| channel.node == node)?.target.name.clone();
    let own = disk.or_else(interface).or_else(channel);
    let document = domain.document();
    let display = || match document.name(node) {
        "graphics" => document.attribute(node, "type").map(str::to_owned),
        _ => None,
    };
    // An alias comes and goes with a run.
    own.or_else(|| place(domain, node)).or_else(display).or_else(|| alias(document, node)).unwrap_or_default()
}

/// The place of a device in its machine, as one word.
fn place(domain: &Domain, node: NodeId) -> Option<String> {
    let (_, info) = domain.devices.infos().find(|(other, _)| *other == node)?;
    info.address.as_ref().filter(|address| address.is_distinct()).map(ToString::to_string)
}

fn alias(document: &Document, node: NodeId) -> Option<String> {
    document.child(node, "alias").and_then(|alias| document.attribute(alias, "name")).map(str::to_owned)
}

/// An element without what was true for one run only.
///
/// # Errors
/// None for an element that was read.
pub(crate) fn nameless(element: &str) -> Result<String, Error> {
    // Its own parent, as it were: what is forgotten are the aliases of children.
    let mut document = Document::parse(&format!("<devices>{element}</devices>"))?;
    let root = document.root();
    document.forget_run(root)?;
    Ok(document.elements(root).next().map(|device| document.node_to_xml(device)).unwrap_or_default())
}

/// The device that a user means by a target, a network address, a place or an alias; none when there is none.
///
/// # Errors
/// [`Kind::Conflict`] when several are called so.
pub(crate) fn find(domain: &Domain, wanted: &str) -> Result<Option<Device>, Error> {
    let is_meant = |device: &Device| {
        device.name.eq_ignore_ascii_case(wanted)
            || alias(domain.document(), device.node).is_some_and(|alias| alias == wanted)
            || place(domain, device.node).is_some_and(|place| place == wanted)
    };
    let mut found: Vec<_> = all(domain).into_iter().filter(is_meant).collect();
    if found.len() > 1 {
        let message = format!("{} devices are called '{wanted}'", found.len());
        return Err(Error::new(Kind::Conflict, "device.ambiguous", message)
            .hint("name the device by its target, its MAC address, its place or its alias"));
    }
    Ok(found.pop())
}

/// The device of a stored document that one of a running guest is stored as: it has its identity, and is the same thing.
///
/// # Errors
/// None for a device of a document that was read.
pub(crate) fn stored_as(stored: &Domain, running: &Domain, device: &Device) -> Result<Option<Device>, Error> {
    let found = identified(stored, &device.identity());
    if matches!(device.kind.as_str(), "disk" | "interface") {
        return Ok(found);
    }
    let element = nameless(&device.element(running))?;
    Ok(found.filter(|_| like(stored, &element).is_ok_and(|other| other.is_some())))
}

/// The device with this identity.
pub(crate) fn identified(domain: &Domain, identity: &str) -> Option<Device> {
    all(domain).into_iter().find(|device| device.identity() == identity)
}

/// A document with one more device, the last of all.
///
/// # Errors
/// [`Kind::Invalid`] when the element cannot stand there, with its place in it.
pub(crate) fn with(xml: &str, element: &str) -> Result<String, Error> {
    let mut document = Document::parse(xml)?;
    let devices = match document.child(document.root(), "devices") {
        Some(devices) => devices,
        None => document.append_child(document.root(), "<devices/>")?,
    };
    document.append_child(devices, element.trim())?;
    Ok(document.to_xml())
}

/// The last device of a kind, which is one that was just added.
pub(crate) fn last(domain: &Domain, kind: &str) -> Option<Device> {
    all(domain).into_iter().rev().find(|device| device.kind == kind)
}

/// The elements below `devices` that are devices, by their names in libvirt's documents.
const KINDS: [&str; 31] = [
    "audio",
    "channel",
    "console",
    "controller",
    "crypto",
    "disk",
    "filesystem",
    "graphics",
    "hostdev",
    "hub",
    "input",
    "interface",
    "iommu",
    "lease",
    "memballoon",
    "memory",
    "nvram",
    "panic",
    "parallel",
    "pstore",
    "redirdev",
    "redirfilter",
    "rng",
    "serial",
    "shmem",
    "smartcard",
    "sound",
    "tpm",
    "video",
    "vsock",
    "watchdog",
];

/// The name of an element that is to be a device.
///
/// # Errors
/// [`Kind::Invalid`] when it is none.
pub(crate) fn kind_of(element: &str) -> Result<String, Error> {
    let document = Document::parse(element)?;
    let name = document.name(document.root());
    if KINDS.contains(&name) {
        return Ok(name.to_owned());
    }
    // Put among devices it would be kept as what nobody understands, and do nothing.
    let error = Error::new(Kind::Invalid, "device.kind", format!("an element '{name}' is no device"));
    let error = error.about("line", "1").about("column", "1");
    Err(match hostler_domain::nearest(name, KINDS.iter().copied()) {
        Some(near) => error.hint(format!("did you mean '{near}'?")),
        None => error.hint("give the element of one device, such as 'disk' or 'interface'"),
    })
}

/// A document without one of its devices.
///
/// # Errors
/// [`Kind::NotFound`] when it has no such device.
pub(crate) fn without(xml: &str, identity: &str) -> Result<String, Error> {
    let domain = Domain::parse(xml)?;
    let device = identified(&domain, identity).ok_or_else(|| missing(identity))?;
    let mut document = domain.document().clone();
    document.remove(device.node)?;
    Ok(document.to_xml())
}

/// A document with an element in the place of one of its devices. It gets the address of that one, if it says none and is on
/// the same bus.
///
/// # Errors
/// [`Kind::Invalid`] when the element cannot stand there.
pub(crate) fn with_other(xml: &str, device: &Device, element: &str) -> Result<String, Error> {
    let mut document = Document::parse(xml)?;
    let old = device.node;
    let new = document.insert_before(old, element.trim())?;
    let bus = |node: NodeId| Some(document.attribute(document.child(node, "target")?, "bus")?.to_owned());
    let stays = document.child(new, "address").is_none() && bus(new) == bus(old);
    if let Some(address) = document.child(old, "address").filter(|_| stays) {
        let address = document.node_to_xml(address);
        document.append_child(new, &address)?;
    }
    document.remove(old)?;
    Ok(document.to_xml())
}

/// A document with another medium in a drive: this file in this format, or nothing.
///
/// # Errors
/// [`Kind::NotFound`] when it has no such drive; [`Kind::Invalid`] for a path that no document can have.
pub(crate) fn with_medium(xml: &str, identity: &str, medium: Option<(&str, &str)>) -> Result<String, Error> {
    let domain = Domain::parse(xml)?;
    let device = identified(&domain, identity).ok_or_else(|| missing(identity))?;
    let mut document = domain.document().clone();
    let node = device.node;
    for name in ["source", "backingStore"] {
        if let Some(child) = document.child(node, name) {
            document.remove(child)?;
        }
    }
    if let Some((path, format)) = medium {
        document.set_attribute(node, "type", "file")?;
        let target = document.child(node, "target").ok_or_else(|| missing(identity))?;
        let driver = match document.child(node, "driver") {
            Some(driver) => driver,
            None => document.insert_before(target, "<driver name='qemu'/>")?,
        };
        document.set_attribute(driver, "type", format)?;
        let source = document.insert_before(target, "<source/>")?;
        document.set_attribute(source, "file", path)?;
    }
    Ok(document.to_xml())
}

/// A document with the cable of a network interface plugged in or pulled out.
///
/// # Errors
/// [`Kind::NotFound`] when it has no such interface.
pub(crate) fn with_link(xml: &str, identity: &str, up: bool) -> Result<String, Error> {
    let domain = Domain::parse(xml)?;
    let device = identified(&domain, identity).ok_or_else(|| missing(identity))?;
    let mut document = domain.document().clone();
    let link = match document.child(device.node, "link") {
        Some(link) => link,
        None => document.append_child(device.node, "<link/>")?,
    };
    document.set_attribute(link, "state", if up { "up" } else { "down" })?;
    Ok(document.to_xml())
}

/// A document with another password for a display, good until a time, if one is given.
///
/// # Errors
/// [`Kind::NotFound`] when it has no such display; [`Kind::Invalid`] for characters that no document can have.
pub(crate) fn with_password(
    xml: &str,
    identity: &str,
    password: &str,
    valid_to: Option<&str>,
) -> Result<String, Error> {
    let domain = Domain::parse(xml)?;
    let device = identified(&domain, identity).ok_or_else(|| missing(identity))?;
    let mut document = domain.document().clone();
    document.set_attribute(device.node, "passwd", password)?;
    match valid_to {
        Some(end) => document.set_attribute(device.node, "passwdValidTo", end)?,
        None => drop(document.remove_attribute(device.node, "passwdValidTo")?),
    }
    Ok(document.to_xml())
}

fn missing(identity: &str) -> Error {
    Error::new(Kind::NotFound, "device.not-found", format!("the document has no {identity}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const XML: &str = "<domain type='kvm'>\n  <name>a</name>\n  <memory>1024</memory>\n  <os><type>hvm</type></os>\n  \
        <devices>\n    <disk type='file' device='cdrom'>\n      <driver name='qemu' type='raw'/>\n      \
        <source file='/a.iso'/>\n      <target dev='sda' bus='sata'/>\n      <readonly/>\n    </disk>\n    \
        <interface type='user'>\n      <mac address='52:54:00:00:00:01'/>\n      <alias name='ua-lan'/>\n    \
        </interface>\n  </devices>\n</domain>\n";

    fn parsed(xml: &str) -> Domain {
        Domain::parse(xml).unwrap()
    }

    #[test]
    fn devices_are_found_by_what_users_call_them() {
        let domain = parsed(XML);
        let identity =
            |wanted: &str| find(&domain, wanted).unwrap().map(|device| (device.identity(), device.place));
        assert_eq!(identity("sda"), Some(("disk sda".to_owned(), 0)));
        let interface = Some(("interface 52:54:00:00:00:01".to_owned(), 1));
        assert_eq!((identity("52:54:00:00:00:01"), identity("ua-lan")), (interface.clone(), interface));
        assert_eq!(identity("vdb"), None);
    }

    #[test]
    fn a_device_that_comes_and_goes_leaves_the_document_as_it_was() {
        let element = "<disk type='file'>\n  <source file='/b'/>\n  <target dev='vdb'/>\n</disk>\n";
        let more = with(XML, element).unwrap();
        assert_eq!(last(&parsed(&more), "disk").unwrap().identity(), "disk vdb");
        assert_eq!(kind_of(element).unwrap(), "disk");
        let refused = kind_of("<domain type='kvm'/>").unwrap_err();
        assert_eq!((refused.kind, refused.code()), (Kind::Invalid, "device.kind"));
        assert!(kind_of("<interfaces/>").unwrap_err().hints[0].text.contains("'interface'"));
        assert_eq!(without(&more, "disk vdb").unwrap(), XML);
        assert_eq!(without(XML, "disk vdb").unwrap_err().code(), "device.not-found");
        assert!(with(XML, "<disk>").is_err() && with(XML, "no element").is_err());
    }

    #[test]
    fn a_cable_is_pulled_out_and_plugged_in() {
        let link = |xml: &str| parsed(xml).devices.interfaces[0].link_up;
        let identity = "interface 52:54:00:00:00:01";
        let down = with_link(XML, identity, false).unwrap();
        assert_eq!((link(XML), link(&down)), (None, Some(false)));
        assert_eq!(link(&with_link(&down, identity, true).unwrap()), Some(true));
        assert_eq!(with_link(XML, "interface x", true).unwrap_err().code(), "device.not-found");
    }

    #[test]
    fn a_display_gets_another_password_and_is_found_by_its_type() {
        let xml =
            with(XML, "<graphics type='vnc' port='5900' passwd='a' passwdValidTo='2030-01-02T03:04:05'/>")
                .unwrap();
        let identity = find(&parsed(&xml), "vnc").unwrap().unwrap().identity();
        assert_eq!(identity, "graphics vnc");
        let other = with_password(&xml, &identity, "it's", None).unwrap();
        let display = &parsed(&other).devices.graphics[0];
        assert_eq!(display.password(), Some(("it's", None)), "{other}");
        let later = with_password(&other, &identity, "", Some("2031-01-01T00:00:00")).unwrap();
        assert_eq!(parsed(&later).devices.graphics[0].password(), Some(("", Some("2031-01-01T00:00:00"))));
        assert_eq!(with_password(XML, &identity, "a", None).unwrap_err().code(), "device.not-found");
    }

    #[test]
    fn a_medium_is_put_in_and_taken_out() {
        let empty = with_medium(XML, "disk sda", None).unwrap();
        assert!(!empty.contains("a.iso") && empty.contains("<target dev='sda' bus='sata'/>"), "{empty}");
        let other = with_medium(&empty, "disk sda", Some(("/it's & b.iso", "qcow2"))).unwrap();
        let disk = &parsed(&other).devices.disks[0];
        assert_eq!(disk.source.format.as_deref(), Some("qcow2"), "{other}");
        assert!(matches!(&disk.source.location,
            hostler_domain::storage_source::Location::File(path) if path == "/it's & b.iso"));
    }
}
