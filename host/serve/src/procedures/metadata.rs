//! What people and programs note down about domains.

use std::sync::Arc;

use hostler_domains::{Host, Note, Which};
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::wire::{DomainGetMetadata, DomainGetMetadataAnswer, DomainSetMetadata};

use super::{invalid, only};
use crate::client::{Client, reference};
use crate::dispatch::{Incoming, Work, routes};
use crate::failure;

/// In what runs, in the definition; where neither is said, in what there is of the two.
const LIVE: u32 = 1;
const CONFIG: u32 = 2;

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming; DomainGetMetadata => get, DomainSetMetadata => set, }
}

/// What is meant of what is written about something, which this part of a host has.
pub(super) fn note(kind: i32, uri: Option<String>, origin: i32) -> Result<Note, RpcError> {
    match (kind, uri) {
        (0, _) => Ok(Note::Description),
        (1, _) => Ok(Note::Title),
        (2, Some(uri)) if !uri.is_empty() => Ok(Note::Element { uri }),
        _ => {
            let detail = "metadata is a description, a title, or an element with a namespace";
            Err(RpcError::new(codes::ERR_INVALID_ARG, origin, detail))
        }
    }
}

async fn get(client: Arc<Client>, call: DomainGetMetadata) -> Result<DomainGetMetadataAnswer, RpcError> {
    only(call.flags, LIVE | CONFIG, "virDomainGetMetadata")?;
    let note = note(call.r#type, call.uri, codes::FROM_DOMAIN)?;
    let domain = client.domain(&call.dom).await?;
    if call.flags & LIVE != 0 && domain.run_number.is_none() {
        return Err(invalid("domain is not running"));
    }
    let which = if call.flags & CONFIG == 0 { Which::Current } else { Which::Stored };
    let xml = client.host().xml(&reference(&domain), which).await;
    let found =
        xml.and_then(|xml| Host::annotation(&xml, &note)).map_err(|error| failure::of_domain(&error))?;
    let metadata = found.ok_or_else(|| {
        let detail = "Requested metadata element is not present";
        RpcError::new(codes::ERR_NO_DOMAIN_METADATA, codes::FROM_DOMAIN, detail)
    })?;
    Ok(DomainGetMetadataAnswer { metadata })
}

async fn set(client: Arc<Client>, call: DomainSetMetadata) -> Result<(), RpcError> {
    only(call.flags, LIVE | CONFIG, "virDomainSetMetadata")?;
    let note = note(call.r#type, call.uri, codes::FROM_DOMAIN)?;
    let (domain, _job) = client.change(&call.dom).await?;
    let scope = super::sizing::scope(call.flags, &domain)?;
    let content = (call.metadata.as_deref().filter(|text| !text.is_empty()), call.key.as_deref());
    let noted = client.host().annotate(&reference(&domain), &note, content, scope).await;
    noted.map_err(|error| failure::of_domain(&error))
}
