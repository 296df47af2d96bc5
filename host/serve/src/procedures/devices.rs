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
    detached(&client, &call.dom, &name_in(&call.xml)?, LIVE).await
}

async fn detach(client: Arc<Client>, call: DomainDetachDeviceFlags) -> Result<(), RpcError> {
    detached(&client, &call.dom, &name_in(&call.xml)?, call.flags).await
}

async fn detach_by_alias(client: Arc<Client>, call: DomainDetachDeviceAlias) -> Result<(), RpcError> {
    detached(&client, &call.dom, &call.alias, call.flags).await
}

async fn detached(client: &Client, dom: &DomainHandle, named: &str, flags: u32) -> Result<(), RpcError> {
    let (domain, _job) = client.change(dom).await?;
    let scope = scope(flags, domain.run_number.is_some(), "virDomainDetachDeviceFlags")?;
    let detached = client.host().detach(&reference(&domain), named, scope).await;
    detached.map(drop).map_err(|error| failure::of_device(&error))
}

/// By what the library finds the device that a document describes: its target, its network address or its alias.
fn name_in(xml: &str) -> Result<String, RpcError> {
    let wrong = |detail: String| RpcError::new(codes::ERR_XML_ERROR, codes::FROM_DOMAIN, detail);
    let document = Document::parse(xml).map_err(|error| no_document(&error))?;
    let root = document.root();
    let of = |child: &str, attribute: &str| {
        document.attribute(document.child(root, child)?, attribute).map(str::to_owned)
    };
    let own = match document.name(root) {
        "disk" => of("target", "dev"),
        "interface" => of("mac", "address"),
        _ => None,
    };
    own.or_else(|| of("alias", "name")).ok_or_else(|| {
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
        let name = |xml: &str| name_in(xml).map_err(|error| error.code);
        assert_eq!(name("<disk type='file'><target dev='vdb'/></disk>").as_deref(), Ok("vdb"));
        assert_eq!(
            name("<interface><mac address='52:54:00:00:00:01'/></interface>").as_deref(),
            Ok("52:54:00:00:00:01")
        );
        assert_eq!(name("<rng><alias name='rng0'/></rng>").as_deref(), Ok("rng0"));
        assert_eq!(name("<rng model='virtio'/>"), Err(codes::ERR_XML_ERROR));
    }

    #[test]
    fn without_a_word_what_there_is_is_changed() {
        assert_eq!(scope(0, true, "f").unwrap(), Scope { live: true, config: false });
        assert_eq!(scope(0, false, "f").unwrap(), Scope { live: false, config: true });
        assert_eq!(scope(LIVE | CONFIG, true, "f").unwrap(), Scope { live: true, config: true });
        assert_eq!(scope(LIVE, false, "f").unwrap_err().code, codes::ERR_OPERATION_INVALID);
    }
}
