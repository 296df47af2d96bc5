//! Guests that clients move from one daemon to another, in libvirt's five steps: begin, prepare, perform, finish, confirm.
//!
//! Who decides where a guest goes on is not the client: the two daemons agree on that between themselves when it is
//! performed, as for `hostler migrate` and `hostler receive`. So a client that goes away between two steps loses nothing.

use std::path::PathBuf;
use std::sync::Arc;

use hostler_domain::Document;
use hostler_domains::{
    DomainIdentity, DomainRef, MigrateOptions, MigrationAddress, MigrationListener, MigrationWatch, Which,
};
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::typed::TypedValue;
use hostler_rpc::wire::{
    DomainMigrateBegin3Params, DomainMigrateBegin3ParamsAnswer, DomainMigrateConfirm3Params,
    DomainMigrateFinish3Params, DomainMigrateFinish3ParamsAnswer, DomainMigratePerform3Params,
    DomainMigratePerform3ParamsAnswer, DomainMigratePrepare3Params, DomainMigratePrepare3ParamsAnswer,
    TypedParam,
};
use hostler_rpc::xdr::Opaque;

use super::migration_pace::bytes;
use super::{only, unsupported};
use crate::arrivals;
use crate::client::{Client, handle, reference};
use crate::dispatch::{Incoming, Work, routes};
use crate::failure;
use crate::places;

/// Flags of a migration, by libvirt's numbers.
mod flag {
    pub(super) const LIVE: u32 = 1;
    pub(super) const PEER_TO_PEER: u32 = 2;
    pub(super) const TUNNELLED: u32 = 4;
    pub(super) const PERSIST_DEST: u32 = 8;
    pub(super) const UNDEFINE_SOURCE: u32 = 16;
    pub(super) const PAUSED: u32 = 32;
    pub(super) const NON_SHARED_DISK: u32 = 64;
    pub(super) const NON_SHARED_INC: u32 = 128;
    pub(super) const CHANGE_PROTECTION: u32 = 256;
    pub(super) const UNSAFE: u32 = 512;
    pub(super) const OFFLINE: u32 = 1_024;
}

/// Flags that are taken: a guest is always sent while it runs, and whoever has its turn is alone with it.
const KNOWN: u32 = flag::LIVE
    | flag::PERSIST_DEST
    | flag::UNDEFINE_SOURCE
    | flag::PAUSED
    | flag::CHANGE_PROTECTION
    | flag::UNSAFE;

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming;
        DomainMigrateBegin3Params => begin,
        DomainMigratePrepare3Params => prepare,
        DomainMigratePerform3Params => perform,
        DomainMigrateFinish3Params => finish,
        DomainMigrateConfirm3Params => confirm,
    }
}

/// What a client says of a migration. What comes with each step differs, and what is not known is refused.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wish {
    /// Where the guest is waited for.
    uri: Option<String>,
    /// The name that it is to have there.
    name: Option<String>,
    /// The document that it is to have there.
    document: Option<String>,
    /// Most bytes a second.
    bandwidth: Option<u64>,
}

impl Wish {
    fn of(params: Vec<TypedParam>) -> Result<Self, RpcError> {
        let mut wish = Self::default();
        for TypedParam { field, value } in params {
            match (field.as_str(), value) {
                ("migrate_uri", TypedValue::Text(uri)) => wish.uri = Some(uri),
                ("destination_name", TypedValue::Text(name)) => wish.name = Some(name),
                ("destination_xml", TypedValue::Text(document)) => wish.document = Some(document),
                ("bandwidth", TypedValue::ULong(speed)) => wish.bandwidth = bytes(speed)?,
                (name, _) => {
                    let detail = format!("parameter '{name}' not supported");
                    return Err(RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_QEMU, detail));
                }
            }
        }
        Ok(wish)
    }

    /// Refuses to give the guest another name on its way.
    fn require_name(&self, name: &str) -> Result<(), RpcError> {
        match &self.name {
            Some(wanted) if wanted != name => {
                Err(unsupported(codes::FROM_QEMU, "a guest keeps its name when it goes on elsewhere"))
            }
            _ => Ok(()),
        }
    }
}

/// Refuses what no guest is moved by.
fn require_known(flags: u32, function: &str) -> Result<(), RpcError> {
    let refused = [
        (flag::PEER_TO_PEER, "this daemon connects to no other one: the client has to speak to both"),
        (flag::TUNNELLED, "a guest goes from one daemon to the other, and not through its client"),
        (flag::NON_SHARED_DISK | flag::NON_SHARED_INC, "disks are not copied: they are the same files there"),
        (flag::OFFLINE, "a domain that is off is defined there by its document"),
    ];
    if let Some((_, why)) = refused.iter().find(|(refused, _)| flags & refused != 0) {
        return Err(unsupported(codes::FROM_QEMU, why));
    }
    only(flags, KNOWN, function)
}

async fn begin(
    client: Arc<Client>,
    call: DomainMigrateBegin3Params,
) -> Result<DomainMigrateBegin3ParamsAnswer, RpcError> {
    require_known(call.flags, "virDomainMigrateBegin3Params")?;
    let wish = Wish::of(call.params.0)?;
    let domain = super::counters::running(&client, &call.dom).await?;
    wish.require_name(&domain.name)?;
    if wish.document.is_some() {
        return Err(unsupported(codes::FROM_QEMU, "a guest keeps its document when it goes on elsewhere"));
    }
    let xml = client.host().xml(&reference(&domain), Which::Current).await;
    let xml = xml.map_err(|error| failure::of_domain(&error))?;
    // The other daemon is sent the whole document by this one; a client needs no passwords for what it does with this.
    let xml = super::xml::without_secrets(&xml, false)?;
    Ok(DomainMigrateBegin3ParamsAnswer { cookie_out: Opaque(Vec::new()), xml })
}

async fn prepare(
    client: Arc<Client>,
    call: DomainMigratePrepare3Params,
) -> Result<DomainMigratePrepare3ParamsAnswer, RpcError> {
    require_known(call.flags, "virDomainMigratePrepare3Params")?;
    let wish = Wish::of(call.params.0)?;
    let name = name_in(wish.document.as_deref().unwrap_or_default())?;
    wish.require_name(&name)?;
    let listener = match &wish.uri {
        Some(uri) => MigrationListener::open(&address(uri)?, false).await,
        None => client.host().arrival_listener().await,
    };
    let listener = listener.map_err(|error| failure::of_domain(&error))?;
    let uri = listener.address().to_string();
    arrivals::expect(&client.server, &name, listener)?;
    Ok(DomainMigratePrepare3ParamsAnswer { cookie_out: Opaque(Vec::new()), uri_out: Some(uri) })
}

async fn perform(
    client: Arc<Client>,
    call: DomainMigratePerform3Params,
) -> Result<DomainMigratePerform3ParamsAnswer, RpcError> {
    require_known(call.flags, "virDomainMigratePerform3Params")?;
    let wish = Wish::of(call.params.0)?;
    let (domain, _job) = client.change(&call.dom).await?;
    wish.require_name(&domain.name)?;
    let Some(uri) = &wish.uri else {
        let detail = "nothing says where the guest is waited for";
        return Err(RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_QEMU, detail));
    };
    let to = address(uri)?;
    let options = MigrateOptions {
        bandwidth: wish.bandwidth,
        paused: call.flags & flag::PAUSED != 0,
        persist: call.flags & flag::PERSIST_DEST != 0,
        undefine_source: call.flags & flag::UNDEFINE_SOURCE != 0,
        ..MigrateOptions::default()
    };
    let departure = client.server.departures.begin(domain.uuid);
    let (mut tell, is_given_up) = (|_: f64| (), || departure.is_given_up());
    let mut watch = MigrationWatch { tell: &mut tell, cancelled: &is_given_up };
    let sent = client.host().migrate(&reference(&domain), &to, options, &mut watch).await;
    sent.map_err(|error| failure::of_domain(&error))?;
    Ok(DomainMigratePerform3ParamsAnswer { cookie_out: Opaque(Vec::new()) })
}

async fn finish(
    client: Arc<Client>,
    call: DomainMigrateFinish3Params,
) -> Result<DomainMigrateFinish3ParamsAnswer, RpcError> {
    require_known(call.flags, "virDomainMigrateFinish3Params")?;
    let name = Wish::of(call.params.0)?.name.unwrap_or_default();
    let Some(arrival) = client.server.arrivals.take(&name) else {
        let detail = format!("no guest of the name '{name}' is waited for");
        return Err(RpcError::new(codes::ERR_OPERATION_INVALID, codes::FROM_QEMU, detail));
    };
    if call.cancelled != 0 {
        arrival.give_up();
    }
    let started = places::beside(arrival.outcome()).await?;
    let wanted = DomainRef::new(started.summary.uuid.to_string());
    let identity: DomainIdentity =
        client.host().identity(&wanted).await.map_err(|error| failure::of_domain(&error))?;
    Ok(DomainMigrateFinish3ParamsAnswer { dom: handle(&identity), cookie_out: Opaque(Vec::new()) })
}

/// Nothing is left to do: who has the guest was settled when it was performed, and a domain may be forgotten here since.
async fn confirm(_: Arc<Client>, call: DomainMigrateConfirm3Params) -> Result<(), RpcError> {
    require_known(call.flags, "virDomainMigrateConfirm3Params")
}

/// The name of the domain that a document is of.
fn name_in(document: &str) -> Result<String, RpcError> {
    let failed = |detail: String| RpcError::new(codes::ERR_XML_ERROR, codes::FROM_DOMAIN, detail);
    let document = Document::parse(document).map_err(|error| failed(error.to_string()))?;
    let name = document.child(document.root(), "name").map(|name| document.text(name).trim().to_owned());
    name.filter(|name| !name.is_empty()).ok_or_else(|| failed("the document names no domain".to_owned()))
}

/// Where a guest is waited for, as libvirt's clients and as ours write that.
fn address(uri: &str) -> Result<MigrationAddress, RpcError> {
    let wrong = |why: String| {
        let detail = format!("'{uri}' is nowhere that a guest is sent to: {why}");
        RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_QEMU, detail)
    };
    if let Some(path) = uri.strip_prefix("unix:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        // Where a client is has nothing to do with where a daemon is.
        return match path.starts_with('/') {
            true => Ok(MigrationAddress::Unix(PathBuf::from(path))),
            false => Err(wrong("a socket has an absolute path".to_owned())),
        };
    }
    let plain = uri.strip_prefix("tcp://").map(|rest| format!("tcp:{rest}"));
    plain.as_deref().unwrap_or(uri).parse().map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_both_kinds_of_clients_write_them() {
        let socket = MigrationAddress::Unix("/run/a".into());
        for uri in ["unix:/run/a", "unix:///run/a"] {
            assert_eq!(address(uri).unwrap(), socket);
        }
        let port = MigrationAddress::Tcp { host: "localhost".to_owned(), port: 49_152 };
        for uri in ["tcp:localhost:49152", "tcp://localhost:49152"] {
            assert_eq!(address(uri).unwrap(), port);
        }
        for uri in ["", "rdma://a:1", "tcp://a", "exec:id", "unix://a", "unix:a", "unix:"] {
            assert_eq!(address(uri).unwrap_err().code, codes::ERR_INVALID_ARG, "{uri}");
        }
    }

    #[test]
    fn what_would_change_a_guest_on_its_way_is_refused() {
        let text = |name: &str, value: &str| TypedParam::new(name, TypedValue::Text(value.to_owned()));
        let wish = Wish::of(vec![text("destination_name", "a"), text("migrate_uri", "unix:/a")]).unwrap();
        assert_eq!(wish.uri.as_deref(), Some("unix:/a"));
        wish.require_name("a").unwrap();
        assert_eq!(wish.require_name("b").unwrap_err().code, codes::ERR_OPERATION_UNSUPPORTED);
        assert_eq!(Wish::of(vec![text("graphics_uri", "a")]).unwrap_err().code, codes::ERR_INVALID_ARG);
        for refused in [flag::PEER_TO_PEER, flag::TUNNELLED, flag::NON_SHARED_INC, flag::OFFLINE] {
            let told = require_known(flag::LIVE | refused, "f").unwrap_err();
            assert_eq!(told.code, codes::ERR_OPERATION_UNSUPPORTED);
        }
        assert_eq!(require_known(1 << 20, "f").unwrap_err().code, codes::ERR_INVALID_ARG);
        require_known(KNOWN, "f").unwrap();
    }

    #[test]
    fn domain_of_a_document_is_named() {
        assert_eq!(name_in("<domain><name> a </name></domain>").unwrap(), "a");
        for wrong in ["", "<domain/>", "<domain><name/></domain>"] {
            assert_eq!(name_in(wrong).unwrap_err().code, codes::ERR_XML_ERROR);
        }
    }
}
