//! What a call is about: what its handles stand for here, and what its document makes.

use hostler_domain::{Document, NodeId};
use hostler_domains::{DomainRef, Error};
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::procedure::Call;
use hostler_rpc::subject::Handle;
use hostler_rpc::wire::{NetworkHandle, StoragePoolHandle};
use hostler_rpc::xdr::Xdr;
use uuid::Uuid;

use super::object::Object;
use crate::client::Client;
use crate::failure;

/// What is known of an object; of each attribute: nothing, or that it is not there, or what it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    name: Option<Option<String>>,
    uuid: Option<Option<Uuid>>,
    driver: Option<Option<String>>,
    pool: Option<Option<String>>,
    usage: Option<Option<String>>,
}

impl Known {
    /// The host itself.
    pub(super) fn host() -> Self {
        Self { name: Some(None), uuid: Some(None), driver: Some(None), pool: Some(None), usage: Some(None) }
    }

    /// Something of which nothing is known.
    pub(super) fn unknown() -> Self {
        Self::default()
    }

    fn named(name: &str, uuid: Option<Uuid>) -> Self {
        Self { name: Some(Some(name.to_owned())), uuid: Some(uuid), ..Self::host() }
    }

    fn domain(name: &str, uuid: Uuid, driver: &str) -> Self {
        Self { driver: Some(Some(driver.to_owned())), ..Self::named(name, Some(uuid)) }
    }

    /// As rules look at it.
    pub(super) fn object(&self) -> Object<'_> {
        Object {
            name: self.name.as_ref().map(Option::as_deref),
            uuid: self.uuid,
            driver: self.driver.as_ref().map(Option::as_deref),
            pool: self.pool.as_ref().map(Option::as_deref),
            usage: self.usage.as_ref().map(Option::as_deref),
        }
    }

    /// Its name, for sentences.
    pub(super) fn shown(&self) -> &str {
        self.name.as_ref().and_then(Option::as_deref).unwrap_or_default()
    }
}

/// What of a kind a call is about. A document counts where there is no handle of that kind, and where something is made
/// beside what handles name.
///
/// # Errors
/// That there is nothing of what a handle names, or that the document is none.
pub(super) async fn of_call(
    client: &Client,
    kind: &'static str,
    verb: &str,
    arguments: &impl Call,
) -> Result<Vec<Known>, RpcError> {
    let mut about = of_handles(client, kind, arguments).await?;
    if let Some(document) = arguments.document().filter(|_| about.is_empty() || verb == "create") {
        return of_document(client, kind, document, arguments).await;
    }
    // Devices of the host have no handles, but their names.
    if let Some(name) = arguments.name().filter(|_| kind == "node_device" && about.is_empty()) {
        about.push(Known::named(name, None));
    }
    // What gets another name is judged under both.
    if let (Some(name), Some(known)) = (arguments.new_name(), about.first().cloned()) {
        about.push(Known { name: Some(Some(name.to_owned())), ..known });
    }
    Ok(about)
}

/// What of a kind the handles in arguments or an answer stand for.
///
/// # Errors
/// That there is no such thing.
pub(super) async fn of_handles(
    client: &Client,
    kind: &'static str,
    value: &impl Xdr,
) -> Result<Vec<Known>, RpcError> {
    let mut handles = Vec::new();
    value.handles(&mut |handle| handles.extend((handle.object() == kind).then_some(handle)));
    // Where no rule looks at objects, which one it is does not matter.
    if !client.rights().looks_at_objects() {
        return Ok(handles.first().map(|_| Known::unknown()).into_iter().collect());
    }
    let mut known = Vec::with_capacity(handles.len());
    for handle in handles {
        known.push(of_handle(client, handle).await?);
    }
    Ok(known)
}

async fn of_handle(client: &Client, handle: Handle<'_>) -> Result<Known, RpcError> {
    Ok(match handle {
        Handle::Domain(domain) => {
            let domain = client.domain(domain).await?;
            Known::domain(&domain.name, domain.uuid, &domain.driver)
        }
        Handle::Network(network) => of_network(client, network).await?,
        Handle::Pool(pool) => of_pool(client, pool).await?,
        Handle::Volume(volume) => {
            Known { pool: Some(Some(volume.pool.clone())), ..Known::named(&volume.name, None) }
        }
        Handle::NodeDevice(device) => Known::named(&device.name, None),
        Handle::Interface(interface) => Known::named(&interface.name, None),
        Handle::Secret(secret) => Known {
            uuid: Some(Some(Uuid::from_bytes(secret.uuid))),
            name: Some(None),
            driver: Some(None),
            pool: Some(None),
            // What a client says of it is not what is recorded.
            usage: None,
        },
        Handle::NetworkPort(_) | Handle::Filter(_) | Handle::FilterBinding(_) => Known::unknown(),
    })
}

async fn of_pool(client: &Client, wanted: &StoragePoolHandle) -> Result<Known, RpcError> {
    let pools = client.host().pool_list().await.map_err(|error| failure::of_storage(&error))?;
    let uuid = Uuid::from_bytes(wanted.uuid);
    let found = pools.iter().find(|pool| pool.uuid == uuid);
    found.map(|pool| Known::named(&pool.name, Some(uuid))).ok_or_else(|| {
        let detail = format!("no storage pool with matching uuid '{uuid}' ({})", wanted.name);
        RpcError::new(codes::ERR_NO_STORAGE_POOL, codes::FROM_STORAGE, detail)
    })
}

async fn of_network(client: &Client, wanted: &NetworkHandle) -> Result<Known, RpcError> {
    let networks = client.host().network_list().await.map_err(|error| failure::of_network(&error))?;
    let uuid = Uuid::from_bytes(wanted.uuid);
    let found = networks.iter().find(|network| network.uuid == uuid);
    found.map(|network| Known::named(&network.name, Some(uuid))).ok_or_else(|| {
        let detail = format!("no network with matching uuid '{uuid}' ({})", wanted.name);
        RpcError::new(codes::ERR_NO_NETWORK, codes::FROM_NETWORK, detail)
    })
}

/// What a document makes, and whatever there is already of its name or identifier: it may become another.
async fn of_document(
    client: &Client,
    kind: &'static str,
    text: &str,
    arguments: &impl Call,
) -> Result<Vec<Known>, RpcError> {
    if !client.rights().looks_at_objects() {
        return Ok(vec![Known::unknown()]);
    }
    let document = Document::parse(text).map_err(|error| {
        let error = Error::from(error);
        match kind {
            "network" => failure::of_network(&error),
            "storage_pool" | "storage_vol" => failure::of_storage(&error),
            _ => failure::of_domain(&error),
        }
    })?;
    let name = only_text(&document, "name");
    let uuid = only_text(&document, "uuid").and_then(|uuid| Uuid::parse_str(&uuid).ok());
    let mut own = Known { name: name.clone().map(Some), uuid: uuid.map(Some), ..Known::host() };
    let mut about = Vec::new();
    match kind {
        "domain" => {
            let of_type =
                document.attribute(document.root(), "type").map(|kind| client.host().driver_for(kind));
            own.driver = of_type.and_then(Result::ok).map(Some);
            let references = [name, uuid.map(|uuid| uuid.to_string())];
            for reference in references.into_iter().flatten() {
                if let Ok(found) = client.host().identity(&DomainRef::new(reference)).await {
                    about.push(Known::domain(&found.name, found.uuid, &found.driver));
                }
            }
        }
        "storage_pool" => {
            let pools = client.host().pool_list().await.map_err(|error| failure::of_storage(&error))?;
            let found =
                pools.iter().filter(|pool| Some(&pool.name) == name.as_ref() || Some(pool.uuid) == uuid);
            about.extend(found.map(|pool| Known::named(&pool.name, Some(pool.uuid))));
        }
        "network" => {
            let networks = client.host().network_list().await.map_err(|error| failure::of_network(&error))?;
            let found = networks
                .iter()
                .filter(|network| Some(&network.name) == name.as_ref() || Some(network.uuid) == uuid);
            about.extend(found.map(|network| Known::named(&network.name, Some(network.uuid))));
        }
        "storage_vol" => {
            own.uuid = Some(None);
            own.pool =
                of_handles(client, "storage_pool", arguments).await?.into_iter().find_map(|pool| pool.name);
        }
        "secret" => own = Known { name: Some(None), usage: secret_usage(&document).map(Some), ..own },
        _ => {}
    }
    about.push(own);
    Ok(about)
}

/// The text of a child of the root, if it is the only one of its name and there is nothing about it that others could read
/// in another way.
fn only_text(document: &Document, name: &str) -> Option<String> {
    let mut found = document.elements(document.root()).filter(|child| document.local_name(*child) == name);
    let text = found.next().filter(|_| found.next().is_none()).map(|child: NodeId| document.text(child))?;
    (text.trim() == text).then_some(text)
}

/// What a secret is for: the one text in its `usage`.
fn secret_usage(document: &Document) -> Option<String> {
    let usage = document.child(document.root(), "usage")?;
    let mut parts = document.elements(usage);
    let part = parts.next().filter(|_| parts.next().is_none())?;
    Some(document.text(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name_in(text: &str) -> Option<String> {
        only_text(&Document::parse(text).unwrap(), "name")
    }

    #[test]
    fn name_that_could_be_read_in_two_ways_is_not_known() {
        assert_eq!(name_in("<domain><name>web</name></domain>").as_deref(), Some("web"));
        assert_eq!(name_in("<domain><name>w&#101;b</name></domain>").as_deref(), Some("web"));
        for text in [
            "<domain/>",
            "<domain><name> web</name></domain>",
            "<domain><name>web</name><name>db</name></domain>",
            "<domain><name>web</name><x:name xmlns:x='urn:x'>db</x:name></domain>",
            "<domain><devices><name>web</name></devices></domain>",
        ] {
            assert_eq!(name_in(text), None, "{text}");
        }
    }

    #[test]
    fn usage_of_a_secret_is_the_one_text_in_it() {
        let usage = |text: &str| secret_usage(&Document::parse(text).unwrap());
        let text = "<secret><usage type='volume'><volume>/srv/a</volume></usage></secret>";
        assert_eq!(usage(text).as_deref(), Some("/srv/a"));
        assert_eq!(usage("<secret><usage type='volume'/></secret>"), None);
    }
}
