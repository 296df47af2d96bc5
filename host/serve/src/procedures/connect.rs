//! Connections: who may come in, what they open, what they are told of this host.

use std::sync::Arc;

use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::wire::{
    AuthList, AuthListAnswer, ConnectClose, ConnectGetHostname, ConnectGetHostnameAnswer,
    ConnectGetLibVersion, ConnectGetLibVersionAnswer, ConnectGetMaxVcpus, ConnectGetMaxVcpusAnswer,
    ConnectGetType, ConnectGetTypeAnswer, ConnectGetUri, ConnectGetUriAnswer, ConnectGetVersion,
    ConnectGetVersionAnswer, ConnectIsSecure, ConnectIsSecureAnswer, ConnectOpen,
    ConnectRegisterCloseCallback, ConnectSupportsFeature, ConnectSupportsFeatureAnswer,
    ConnectUnregisterCloseCallback,
};

use crate::client::Client;
use crate::dispatch::{Incoming, Work, routes};

/// The flag of a client that only wants to read.
const READ_ONLY: u32 = 1;
/// A flag for the client's own library.
const NO_ALIASES: u32 = 2;
/// The way in that asks nothing: the socket's mode has decided.
const NO_LOGIN: i32 = 0;
/// What is here, by libvirt's numbers: texts among typed parameters, signs of life, events by callback, the call that tells
/// of the end, the order of the arguments of network updates.
const FEATURES: [i32; 5] = [9, 10, 14, 15, 16];
/// The version of libvirt's interface that clients may count on: 9.0.0.
const INTERFACE_VERSION: u64 = 9_000_000;
/// Most processors of one guest.
pub(super) const MAX_VCPUS: i32 = 255;

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming;
        AuthList => auth_list,
        ConnectOpen => open,
        ConnectClose => close,
        ConnectSupportsFeature => supports_feature,
        ConnectGetUri => uri,
        ConnectGetType => kind,
        ConnectGetVersion => version,
        ConnectGetLibVersion => interface_version,
        ConnectGetHostname => hostname,
        ConnectGetMaxVcpus => max_vcpus,
        ConnectIsSecure => is_secure,
        ConnectRegisterCloseCallback => close_callback,
        ConnectUnregisterCloseCallback => no_close_callback,
    }
}

async fn auth_list(_: Arc<Client>, _: AuthList) -> Result<AuthListAnswer, RpcError> {
    Ok(AuthListAnswer { types: hostler_rpc::xdr::List(vec![NO_LOGIN]) })
}

async fn open(client: Arc<Client>, call: ConnectOpen) -> Result<(), RpcError> {
    super::only(call.flags, READ_ONLY | NO_ALIASES, "virConnectOpen")?;
    let name = call.name.unwrap_or_default();
    if !is_ours(&name) {
        let detail = format!(
            "no connection driver available for {name}: this is hostler:///system, also as qemu:///system"
        );
        let origin = codes::FROM_NONE;
        return Err(RpcError { code: codes::ERR_NO_CONNECT, origin, message: detail });
    }
    let uri = if name.is_empty() { own_uri() } else { name };
    client.open(uri, call.flags & READ_ONLY != 0)?;
    tracing::debug!(uid = client.peer.uid, pid = client.peer.pid, "a client has opened the host");
    Ok(())
}

/// Whether a name stands for this host. Many clients go by the name of the hypervisor, so that of the most common is taken too.
fn is_ours(name: &str) -> bool {
    let without_query = name.split_once('?').map_or(name, |(before, _)| before);
    let path = without_query.strip_prefix("hostler://").or_else(|| without_query.strip_prefix("qemu://"));
    name.is_empty() || path.is_some_and(|path| matches!(path, "/system" | "/session"))
}

fn own_uri() -> String {
    let path = if rustix::process::geteuid().is_root() { "system" } else { "session" };
    format!("hostler:///{path}")
}

/// The connection ends behind the answer.
async fn close(_: Arc<Client>, _: ConnectClose) -> Result<(), RpcError> {
    Ok(())
}

async fn supports_feature(
    _: Arc<Client>,
    call: ConnectSupportsFeature,
) -> Result<ConnectSupportsFeatureAnswer, RpcError> {
    Ok(ConnectSupportsFeatureAnswer { supported: i32::from(FEATURES.contains(&call.feature)) })
}

async fn uri(client: Arc<Client>, _: ConnectGetUri) -> Result<ConnectGetUriAnswer, RpcError> {
    Ok(ConnectGetUriAnswer { uri: client.session()?.uri })
}

/// Clients take this for the name of the hypervisor, and some know the one of the name that they came by.
async fn kind(client: Arc<Client>, _: ConnectGetType) -> Result<ConnectGetTypeAnswer, RpcError> {
    let kind = if client.session()?.uri.starts_with("qemu") { "QEMU" } else { "hostler" };
    Ok(ConnectGetTypeAnswer { r#type: kind.to_owned() })
}

/// Which hypervisor runs a guest is its driver's business: what has a version here is hostler.
async fn version(_: Arc<Client>, _: ConnectGetVersion) -> Result<ConnectGetVersionAnswer, RpcError> {
    let mut parts = env!("CARGO_PKG_VERSION").split('.').map(|part| part.parse::<u64>().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    Ok(ConnectGetVersionAnswer { hv_ver: next() * 1_000_000 + next() * 1_000 + next() })
}

async fn interface_version(
    _: Arc<Client>,
    _: ConnectGetLibVersion,
) -> Result<ConnectGetLibVersionAnswer, RpcError> {
    Ok(ConnectGetLibVersionAnswer { lib_ver: INTERFACE_VERSION })
}

async fn hostname(_: Arc<Client>, _: ConnectGetHostname) -> Result<ConnectGetHostnameAnswer, RpcError> {
    let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
    Ok(ConnectGetHostnameAnswer { hostname })
}

async fn max_vcpus(_: Arc<Client>, _: ConnectGetMaxVcpus) -> Result<ConnectGetMaxVcpusAnswer, RpcError> {
    Ok(ConnectGetMaxVcpusAnswer { max_vcpus: MAX_VCPUS })
}

/// A socket of the kernel's is heard by nobody else.
async fn is_secure(_: Arc<Client>, _: ConnectIsSecure) -> Result<ConnectIsSecureAnswer, RpcError> {
    Ok(ConnectIsSecureAnswer { secure: 1 })
}

/// What would be told, the end of a connection to somewhere else, never happens here.
async fn close_callback(client: Arc<Client>, _: ConnectRegisterCloseCallback) -> Result<(), RpcError> {
    client.session().map(drop)
}

async fn no_close_callback(client: Arc<Client>, _: ConnectUnregisterCloseCallback) -> Result<(), RpcError> {
    client.session().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_names_are_taken_and_others_are_not() {
        for name in ["", "hostler:///system", "qemu:///system", "qemu:///session", "qemu:///system?extra=1"] {
            assert!(is_ours(name), "{name}");
        }
        for name in
            ["xen:///system", "qemu:///embed?root=/x", "test:///default", "qemu://host/system", "/system"]
        {
            assert!(!is_ours(name), "{name}");
        }
    }
}
