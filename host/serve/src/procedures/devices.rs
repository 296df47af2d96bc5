//! Devices that come and go.

use std::sync::Arc;

use hostler_domain::Document;
use hostler_domains::Scope;
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::wire::{
    DomainAttachDevice, DomainAttachDeviceFlags, DomainDetachDevice, DomainDetachDeviceAlias,
    DomainDetachDeviceFlags, DomainHandle,
};

use super::updates::no_document;
use super::{invalid, only};
use crate::client::{Client, reference};
use crate::dispatch::{Incoming, Work, routes};
use crate::failure;

/// Where a change is made: in the guest, in the definition; where neither is said, in what there is of the two.
const LIVE: u32 = 1;
const CONFIG: u32 = 2;

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming;
        DomainAttachDevice => attach_to_guest,
        DomainAttachDeviceFlags => attach,
        DomainDetachDevice => detach_from_guest,
        DomainDetachDeviceFlags => detach,
        DomainDetachDeviceAlias => detach_by_alias,
    }
}

/// Where a change is made of a domain that runs, or does not.
fn scope(flags: u32, runs: bool, function: &str) -> Result<Scope, RpcError> {
    only(flags, LIVE | CONFIG, function)?;
    let scope = match flags {
        0 => Scope { live: runs, config: !runs },
        _ => Scope { live: flags & LIVE != 0, config: flags & CONFIG != 0 },
    };
    if scope.live && !runs {
        return Err(invalid("domain is not running"));
    }
    Ok(scope)
}

async fn attach_to_guest(client: Arc<Client>, call: DomainAttachDevice) -> Result<(), RpcError> {
    attached(&client, &call.dom, &call.xml, LIVE).await
}

async fn attach(client: Arc<Client>, call: DomainAttachDeviceFlags) -> Result<(), RpcError> {
    attached(&client, &call.dom, &call.xml, call.flags).await
}

async fn attached(client: &Client, dom: &DomainHandle, xml: &str, flags: u32) -> Result<(), RpcError> {
    let (domain, _job) = client.change(dom).await?;
    let scope = scope(flags, domain.run_number.is_some(), "virDomainAttachDeviceFlags")?;
    let attached = client.host().attach(&reference(&domain), xml, scope).await;
    attached.map(drop).map_err(|error| failure::of_domain(&error))
}

async fn detach_from_guest(client: Arc<Client>, call: DomainDetachDevice) -> Result<(), RpcError> {
    detached(&client, &call.dom, &meant(&call.xml)?, LIVE).await
}

async fn detach(client: Arc<Client>, call: DomainDetachDeviceFlags) -> Result<(), RpcError> {
    detached(&client, &call.dom, &meant(&call.xml)?, call.flags).await
}

async fn detach_by_alias(client: Arc<Client>, call: DomainDetachDeviceAlias) -> Result<(), RpcError> {
    detached(&client, &call.dom, &Meant::Named(call.alias), call.flags).await
}

async fn detached(client: &Client, dom: &DomainHandle, meant: &Meant, flags: u32) -> Result<(), RpcError> {
    let (domain, _job) = client.change(dom).await?;
    let scope = scope(flags, domain.run_number.is_some(), "virDomainDetachDeviceFlags")?;
    let (host, reference) = (client.host(), reference(&domain));
    let detached = match meant {
        Meant::Named(name) => host.detach(&reference, name, scope).await,
        Meant::Like(element) => host.detach_like(&reference, element, scope).await,
    };
    detached.map(drop).map_err(|error| failure::of_device(&error))
}

/// By what the library finds a device.
#[derive(Debug, PartialEq, Eq)]
enum Meant {
    /// Its target, its network address or its alias.
    Named(String),
    /// Its element: its place, and what it is.
    Like(String),
}

/// What a document is about: a disk or an interface has a name of its own.
fn meant(xml: &str) -> Result<Meant, RpcError> {
    let wrong = |detail: String| RpcError::new(codes::ERR_XML_ERROR, codes::FROM_DOMAIN, detail);
    let document = Document::parse(xml).map_err(|error| no_document(&error))?;
    let root = document.root();
    let of = |child: &str, attribute: &str| {
        document.attribute(document.child(root, child)?, attribute).map(str::to_owned)
    };
    let own = match document.name(root) {
        "disk" => of("target", "dev"),
        "interface" => of("mac", "address"),
        _ => return Ok(Meant::Like(xml.to_owned())),
    };
    own.or_else(|| of("alias", "name")).map(Meant::Named).ok_or_else(|| {
        wrong(format!(
            "nothing says which <{}> is meant: name its <target>, <mac> or <alias>",
            document.name(root)
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_is_named_by_what_is_its_own() {
        let meant = |xml: &str| meant(xml).map_err(|error| error.code);
        let named = |name: &str| Ok(Meant::Named(name.to_owned()));
        assert_eq!(meant("<disk type='file'><target dev='vdb'/></disk>"), named("vdb"));
        let interface = "<interface><mac address='52:54:00:00:00:01'/></interface>";
        assert_eq!(meant(interface), named("52:54:00:00:00:01"));
        assert_eq!(meant("<interface><alias name='net0'/></interface>"), named("net0"));
        assert_eq!(meant("<interface type='user'/>"), Err(codes::ERR_XML_ERROR));
        assert_eq!(meant("<rng model='virtio'/>"), Ok(Meant::Like("<rng model='virtio'/>".to_owned())));
    }

    #[test]
    fn without_a_word_what_there_is_is_changed() {
        assert_eq!(scope(0, true, "f").unwrap(), Scope { live: true, config: false });
        assert_eq!(scope(0, false, "f").unwrap(), Scope { live: false, config: true });
        assert_eq!(scope(LIVE | CONFIG, true, "f").unwrap(), Scope { live: true, config: true });
        assert_eq!(scope(LIVE, false, "f").unwrap_err().code, codes::ERR_OPERATION_INVALID);
    }
}
