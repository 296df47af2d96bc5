//! Connections: what they are told of this host.

use std::sync::Arc;

use hostler_rpc::error::RpcError;
use hostler_rpc::wire::{
    ConnectClose, ConnectGetHostname, ConnectGetHostnameAnswer, ConnectGetLibVersion,
    ConnectGetLibVersionAnswer, ConnectGetMaxVcpus, ConnectGetMaxVcpusAnswer, ConnectGetType,
    ConnectGetTypeAnswer, ConnectGetUri, ConnectGetUriAnswer, ConnectGetVersion, ConnectGetVersionAnswer,
    ConnectIsSecure, ConnectIsSecureAnswer, ConnectOpen, ConnectRegisterCloseCallback,
    ConnectSupportsFeature, ConnectSupportsFeatureAnswer, ConnectUnregisterCloseCallback,
};

use crate::client::{Client, internal};
use crate::dispatch::{Incoming, Work, routes};
use crate::peer::Peer;

/// What is here, by libvirt's numbers: texts among typed parameters, signs of life, migration with parameters, events by
/// callback, the call that tells of the end, the order of the arguments of network updates.
const FEATURES: [i32; 6] = [9, 10, 13, 14, 15, 16];
/// That descriptors go with calls and answers; those of this machine only have it.
const DESCRIPTORS: i32 = 8;
/// The version of libvirt's interface that clients may count on: 9.0.0.
const INTERFACE_VERSION: u64 = 9_000_000;
/// Most processors of one guest.
pub(super) const MAX_VCPUS: i32 = 255;

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming;
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

async fn open(_: Arc<Client>, _: ConnectOpen) -> Result<(), RpcError> {
    Err(internal("connection already open"))
}

/// The connection ends behind the answer.
async fn close(_: Arc<Client>, _: ConnectClose) -> Result<(), RpcError> {
    Ok(())
}

async fn supports_feature(
    client: Arc<Client>,
    call: ConnectSupportsFeature,
) -> Result<ConnectSupportsFeatureAnswer, RpcError> {
    Ok(supports(&call, &client.peer))
}

/// Whether there is a feature. Clients ask for some before they open anything.
pub(crate) fn supports(call: &ConnectSupportsFeature, peer: &Peer) -> ConnectSupportsFeatureAnswer {
    let supported = FEATURES.contains(&call.feature) || (call.feature == DESCRIPTORS && peer.is_local());
    ConnectSupportsFeatureAnswer { supported: i32::from(supported) }
}

async fn uri(client: Arc<Client>, _: ConnectGetUri) -> Result<ConnectGetUriAnswer, RpcError> {
    Ok(ConnectGetUriAnswer { uri: client.session().uri.clone() })
}

/// Clients take this for the name of the hypervisor, and some know the one of the name that they came by.
async fn kind(client: Arc<Client>, _: ConnectGetType) -> Result<ConnectGetTypeAnswer, RpcError> {
    let kind = if client.session().uri.starts_with("qemu") { "QEMU" } else { "hostler" };
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
async fn close_callback(_: Arc<Client>, _: ConnectRegisterCloseCallback) -> Result<(), RpcError> {
    Ok(())
}

async fn no_close_callback(_: Arc<Client>, _: ConnectUnregisterCloseCallback) -> Result<(), RpcError> {
    Ok(())
}
