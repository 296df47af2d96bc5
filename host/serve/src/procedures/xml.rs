//! The document of a domain, as clients are used to it: with its number, and without its passwords.

use std::sync::Arc;

use hostler_domain::Document;
use hostler_domains::{DomainIdentity, Which, without_passwords};
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::wire::{DomainGetXmlDesc, DomainGetXmlDescAnswer};

use super::only;
use crate::client::{Client, reference};
use crate::dispatch::{Incoming, Work, routes};
use crate::failure;

/// Flags of the call.
mod flag {
    pub(super) const SECURE: u32 = 1;
    pub(super) const INACTIVE: u32 = 2;
    pub(super) const UPDATE_CPU: u32 = 4;
    pub(super) const MIGRATABLE: u32 = 8;
}

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming; DomainGetXmlDesc => document, }
}

async fn document(client: Arc<Client>, call: DomainGetXmlDesc) -> Result<DomainGetXmlDescAnswer, RpcError> {
    let known = flag::SECURE | flag::INACTIVE | flag::UPDATE_CPU | flag::MIGRATABLE;
    only(call.flags, known, "virDomainGetXMLDesc")?;
    let domain = client.domain(&call.dom).await?;
    let stored = call.flags & flag::INACTIVE != 0 || domain.run_number.is_none();
    let which = if stored { Which::Stored } else { Which::Current };
    let xml = client.host().xml(&reference(&domain), which).await;
    let xml = xml.map_err(|error| failure::of_domain(&error))?;
    let secure = call.flags & (flag::SECURE | flag::MIGRATABLE) != 0;
    let number = domain.run_number.filter(|_| !stored);
    Ok(DomainGetXmlDescAnswer { xml: shown(&xml, &domain, number, secure)? })
}

fn shown(xml: &str, domain: &DomainIdentity, number: Option<u32>, secure: bool) -> Result<String, RpcError> {
    if number.is_none() && (secure || !xml.contains("passwd")) && !has_number(xml) {
        return Ok(xml.to_owned());
    }
    let failed = |error: &dyn std::fmt::Display| {
        let detail = format!("the document of '{}' cannot be read: {error}", domain.name);
        RpcError::new(codes::ERR_XML_ERROR, codes::FROM_DOMAIN, detail)
    };
    let xml = if secure { xml.to_owned() } else { without_passwords(xml).map_err(|error| failed(&error))? };
    let mut document = Document::parse(&xml).map_err(|error| failed(&error))?;
    let root = document.root();
    match number {
        Some(number) => {
            document.set_attribute(root, "id", &number.to_string()).map_err(|error| failed(&error))?;
        }
        None => drop(document.remove_attribute(root, "id").map_err(|error| failed(&error))?),
    }
    Ok(document.to_xml())
}

/// A document of a guest that was put away or kept, without its passwords unless they may be shown.
pub(super) fn without_secrets(xml: &str, secure: bool) -> Result<String, RpcError> {
    if secure {
        return Ok(xml.to_owned());
    }
    without_passwords(xml).map_err(|error| {
        let detail = format!("the document cannot be read: {error}");
        RpcError::new(codes::ERR_XML_ERROR, codes::FROM_DOMAIN, detail)
    })
}

/// Whether the first element may have a number: what is stored has none, as a rule, and is shown as it is.
fn has_number(xml: &str) -> bool {
    // No value of an attribute has this letter in it.
    let first = xml.strip_prefix("<domain").and_then(|rest| rest.split('<').next());
    first.is_none_or(|attributes| attributes.contains("id"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const XML: &str = "<domain type='kvm' id='9'>\n  <name>a</name>\n  <devices>\n    \
                       <graphics type='vnc' passwd='s'/>\n  </devices>\n</domain>\n";

    fn of(number: Option<u32>, secure: bool) -> String {
        let uuid = uuid::Uuid::nil();
        let domain = DomainIdentity {
            name: "a".to_owned(),
            uuid,
            run_number: number,
            persistent: true,
            driver: "qemu".into(),
        };
        shown(XML, &domain, number, secure).unwrap()
    }

    #[test]
    fn number_is_that_of_the_run() {
        assert!(of(Some(3), false).starts_with("<domain type='kvm' id='3'>"));
        assert!(of(None, false).starts_with("<domain type='kvm'>"));
    }

    #[test]
    fn password_is_shown_to_those_who_may_ask_for_it_only() {
        assert!(of(None, true).contains("passwd='s'"));
        assert!(!of(None, false).contains("passwd"));
    }

    #[test]
    fn stored_document_is_shown_as_it_is_unless_something_is_to_go() {
        assert!(
            has_number(XML) && has_number("<domain type='a>b' id='9'>") && !has_number("<domain type='kvm'>")
        );
    }
}
