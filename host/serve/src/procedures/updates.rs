//! Devices that stay and change: the medium of a drive, the cable of an interface.

use std::path::PathBuf;
use std::sync::Arc;

use hostler_domain::disk::DiskDevice;
use hostler_domain::storage_source::Location;
use hostler_domain::{Document, Domain, NodeId};
use hostler_domains::{DisplayPassword, DomainIdentity, Medium, MediumChange, Scope, Which};
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::wire::DomainUpdateDeviceFlags;

use super::only;
use super::sizing::{document, scope};
use crate::client::{Client, reference};
use crate::dispatch::{Incoming, Work, routes};
use crate::failure;

/// In what runs, in the definition; even if the guest has locked the drive.
const LIVE: u32 = 1;
const CONFIG: u32 = 2;
const FORCE: u32 = 4;

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming; DomainUpdateDeviceFlags => update, }
}

/// What an element wants of the device that it describes.
#[derive(Debug, PartialEq, Eq)]
enum Wish {
    /// Another medium in the drive with this target, or none.
    Medium(String, Option<(PathBuf, String)>),
    /// The cable of the interface with this address.
    Link(String, bool),
    /// The password of the display of this type, and until when it is good.
    Password { kind: String, password: String, valid_to: Option<String> },
    /// Nothing: a display without a password in its element keeps the one that it has.
    Nothing,
}

async fn update(client: Arc<Client>, call: DomainUpdateDeviceFlags) -> Result<(), RpcError> {
    only(call.flags, LIVE | CONFIG | FORCE, "virDomainUpdateDeviceFlags")?;
    let (domain, _job) = client.change(&call.dom).await?;
    let scope = scope(call.flags, &domain)?;
    if !scope.live {
        let replaced = client.host().replace_device(&reference(&domain), &call.xml).await;
        return replaced.map(drop).map_err(|error| failure::of_device(&error));
    }
    let wish = wish(&call.xml)?;
    match &wish {
        Wish::Link(mac, _) => require_same_place(&client, &domain, (&call.xml, mac), scope).await?,
        Wish::Password { .. } | Wish::Nothing => require_same_server(&client, &domain, &call.xml).await?,
        Wish::Medium(..) => {}
    }
    let (host, wanted) = (client.host(), reference(&domain));
    let changed = match wish {
        Wish::Medium(target, medium) => {
            let medium = medium.map(|(path, format)| Medium { path, format });
            let change = MediumChange { medium, force: call.flags & FORCE != 0 };
            host.change_medium(&wanted, &target, &change, scope).await
        }
        Wish::Link(mac, up) => host.set_link(&wanted, &mac, up, scope).await,
        Wish::Password { kind, password, valid_to } => {
            let password = DisplayPassword { password: &password, valid_to: valid_to.as_deref() };
            host.set_display_password(&wanted, &kind, password, scope).await
        }
        Wish::Nothing => return Ok(()),
    };
    changed.map(drop).map_err(|error| failure::of_device(&error))
}

fn unsupported(kind: &str) -> RpcError {
    let detail = format!("live update of device '{kind}' is not supported");
    RpcError::new(codes::ERR_CONFIG_UNSUPPORTED, codes::FROM_QEMU, detail)
}

fn wrong(detail: impl AsRef<str>) -> RpcError {
    RpcError::new(codes::ERR_XML_ERROR, codes::FROM_DOMAIN, detail)
}

/// What is no XML at all has a number of its own.
pub(super) fn no_document(error: &hostler_domain::XmlError) -> RpcError {
    RpcError::new(codes::ERR_XML_DETAIL, codes::FROM_DOMAIN, error.to_string())
}

/// An element as the only device of a document.
fn read(xml: &str) -> Result<Domain, RpcError> {
    let domain = format!(
        "<domain type='qemu'><name>n</name><memory>1024</memory><os><type>hvm</type></os><devices>{xml}</devices></domain>"
    );
    Domain::parse(&domain).map_err(|error| wrong(error.to_string()))
}

fn wish(xml: &str) -> Result<Wish, RpcError> {
    let element = Document::parse(xml).map_err(|error| no_document(&error))?;
    let kind = element.name(element.root()).to_owned();
    let body = element.node_to_xml(element.root());
    let domain = read(&body)?;
    if let Some(disk) = domain.devices.disks.first() {
        if !matches!(disk.device, DiskDevice::Cdrom | DiskDevice::Floppy) {
            let detail =
                format!("cannot change what the disk '{}' is made of while it is there", disk.target);
            return Err(RpcError::new(codes::ERR_OPERATION_UNSUPPORTED, codes::FROM_QEMU, detail));
        }
        // Without a word a medium is raw, which reads every file as what it is.
        let format = disk.source.format.clone().unwrap_or_else(|| "raw".to_owned());
        let medium = match &disk.source.location {
            Location::Empty => None,
            Location::File(path) | Location::Block(path) => Some((PathBuf::from(path), format)),
            _ => {
                let detail = "a medium is a file or a block device";
                return Err(RpcError::new(codes::ERR_OPERATION_UNSUPPORTED, codes::FROM_QEMU, detail));
            }
        };
        return Ok(Wish::Medium(disk.target.to_string(), medium));
    }
    if let Some(graphics) = domain.devices.graphics.first() {
        let Some((password, valid_to)) = graphics.password() else { return Ok(Wish::Nothing) };
        let kind = if graphics.vnc().is_some() { "vnc" } else { "spice" }.to_owned();
        let (password, valid_to) = (password.to_owned(), valid_to.map(str::to_owned));
        return Ok(Wish::Password { kind, password, valid_to });
    }
    match domain.devices.interfaces.first() {
        Some(interface) => {
            let mac = interface
                .mac
                .as_ref()
                .ok_or_else(|| wrong("nothing says which <interface> is meant: name its <mac>"))?;
            Ok(Wish::Link(mac.to_string(), interface.link_up != Some(false)))
        }
        None => Err(unsupported(&kind)),
    }
}

/// Refuses to connect an interface to something else.
async fn require_same_place(
    client: &Client,
    domain: &DomainIdentity,
    (xml, mac): (&str, &str),
    scope: Scope,
) -> Result<(), RpcError> {
    let which = if scope.live { Which::Current } else { Which::Stored };
    let now = document(client, domain, which).await?;
    let next = read(xml)?;
    let (Some(next), Some(now)) = (
        next.devices.interfaces.first(),
        now.devices.interfaces.iter().find(|one| one.mac.as_ref().is_some_and(|own| own.to_string() == mac)),
    ) else {
        return Ok(());
    };
    let detail = if next.source != now.source {
        "an interface stays connected to what it is connected to; detach it, and attach another one"
            .to_owned()
    } else if next.model.is_some() && next.model != now.model {
        let word = |model: &Option<String>| model.clone().unwrap_or_default();
        format!("cannot modify network device model from {} to {}", word(&now.model), word(&next.model))
    } else {
        return Ok(());
    };
    Err(RpcError::new(codes::ERR_OPERATION_UNSUPPORTED, codes::FROM_QEMU, detail))
}

/// Refuses to have a display served otherwise than it is.
async fn require_same_server(client: &Client, domain: &DomainIdentity, xml: &str) -> Result<(), RpcError> {
    let now = document(client, domain, Which::Current).await?;
    let changed = changed_server(&Document::parse(xml).map_err(|error| no_document(&error))?, now.document());
    let Some((kind, what)) = changed else { return Ok(()) };
    let detail = match kind {
        Some(kind) => format!("cannot change {what} settings on {kind} graphics"),
        None => what,
    };
    Err(RpcError::new(codes::ERR_OPERATION_UNSUPPORTED, codes::FROM_QEMU, detail))
}

/// What of a display an element has otherwise than the document of the guest that runs.
fn changed_server(element: &Document, now: &Document) -> Option<(Option<String>, String)> {
    let root = element.root();
    let kind = element.attribute(root, "type").unwrap_or_default();
    let devices = now.child(now.root(), "devices")?;
    let is_it = |node: &NodeId| now.name(*node) == "graphics" && now.attribute(*node, "type") == Some(kind);
    let Some(display) = now.elements(devices).find(is_it) else {
        return Some((None, format!("cannot find existing graphics device to modify of type '{kind}'")));
    };
    let is_other = |name: &str| {
        let wanted = element.attribute(root, name).filter(|wanted| !matches!(*wanted, "-1" | "0"));
        wanted.is_some() && wanted != now.attribute(display, name)
    };
    let names = ["port", "tlsPort", "websocket", "listen", "keymap", "socket", "sharePolicy"];
    let changed = names.into_iter().find(|name| is_other(name))?;
    Some((Some(kind.to_owned()), changed.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_say_what_is_to_be() {
        let drive = |inner: &str| {
            wish(&format!("<disk type='file' device='cdrom'>{inner}<target dev='sda'/></disk>"))
        };
        assert_eq!(drive("").unwrap(), Wish::Medium("sda".to_owned(), None));
        let medium = Some((PathBuf::from("/a.iso"), "raw".to_owned()));
        assert_eq!(drive("<source file='/a.iso'/>").unwrap(), Wish::Medium("sda".to_owned(), medium));
        let cable =
            "<interface type='user'><mac address='52:54:00:00:00:01'/><link state='down'/></interface>";
        assert_eq!(wish(cable).unwrap(), Wish::Link("52:54:00:00:00:01".to_owned(), false));
    }

    #[test]
    fn display_gets_another_password_and_is_served_as_before() {
        let given = "<graphics type='vnc' port='5901' autoport='yes' passwd='b'/>";
        let wanted = Wish::Password { kind: "vnc".to_owned(), password: "b".to_owned(), valid_to: None };
        assert_eq!(wish(given).unwrap(), wanted);
        assert_eq!(wish("<graphics type='vnc' port='5901'/>").unwrap(), Wish::Nothing);
        let now = "<domain><devices><graphics type='vnc' port='5901' listen='127.0.0.1' passwd='a'/></devices></domain>";
        let changed = |element: &str| {
            changed_server(&Document::parse(element).unwrap(), &Document::parse(now).unwrap())
                .map(|(_, what)| what)
        };
        assert_eq!(changed(given), None);
        assert_eq!(changed("<graphics type='vnc' port='-1' passwd='b'/>"), None);
        assert_eq!(changed("<graphics type='vnc' port='5902'/>").as_deref(), Some("port"));
        assert_eq!(changed("<graphics type='vnc' listen='0.0.0.0'/>").as_deref(), Some("listen"));
        assert!(changed("<graphics type='spice'/>").unwrap().contains("cannot find"));
    }

    #[test]
    fn other_devices_are_refused_with_the_number_that_clients_know() {
        let code = |xml: &str| wish(xml).unwrap_err().code;
        assert_eq!(
            code("<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>"),
            codes::ERR_CONFIG_UNSUPPORTED
        );
        assert_eq!(
            code("<disk type='file'><source file='/a'/><target dev='vda'/></disk>"),
            codes::ERR_OPERATION_UNSUPPORTED
        );
        assert_eq!(code("<disk"), codes::ERR_XML_DETAIL);
    }
}
