//! Devices that stay and change: the medium of a drive, the cable of an interface.

use std::path::PathBuf;
use std::sync::Arc;

use hostler_domain::disk::DiskDevice;
use hostler_domain::storage_source::Location;
use hostler_domain::{Document, Domain};
use hostler_domains::{DomainIdentity, Medium, MediumChange, Scope, Which};
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
    if let Wish::Link(mac, _) = &wish {
        require_same_place(&client, &domain, (&call.xml, mac), scope).await?;
    }
    let (host, wanted) = (client.host(), reference(&domain));
    let changed = match wish {
        Wish::Medium(target, medium) => {
            let medium = medium.map(|(path, format)| Medium { path, format });
            let change = MediumChange { medium, force: call.flags & FORCE != 0 };
            host.change_medium(&wanted, &target, &change, scope).await
        }
        Wish::Link(mac, up) => host.set_link(&wanted, &mac, up, scope).await,
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
