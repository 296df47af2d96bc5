//! Connections to displays that go with calls and answers, as descriptors.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::wire::{DomainHandle, DomainOpenGraphics, DomainOpenGraphicsFd};
use rustix::fs::{FileType, fstat};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use super::{invalid, only};
use crate::client::{Client, internal, reference};
use crate::dispatch::{Incoming, Work};
use crate::failure;

/// Flag: it is asked for no password.
const SKIP_AUTH: u32 = 1;

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    match incoming.number() {
        DomainOpenGraphics::NUMBER => {
            let came = incoming.take_descriptors();
            Some(incoming.answer::<DomainOpenGraphics, _, _>(move |client, call| take(client, call, came)))
        }
        DomainOpenGraphicsFd::NUMBER => Some(incoming.hand_out::<DomainOpenGraphicsFd, _, _>(give)),
        _ => None,
    }
}

/// A client brings a connection.
async fn take(client: Arc<Client>, call: DomainOpenGraphics, came: Vec<OwnedFd>) -> Result<(), RpcError> {
    only(call.flags, SKIP_AUTH, "virDomainOpenGraphics")?;
    let [connection]: [OwnedFd; 1] = came
        .try_into()
        .map_err(|_| RpcError::protocol("a display is opened with one descriptor".to_owned()))?;
    let is_socket =
        fstat(&connection).is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Socket);
    if !is_socket {
        let detail = "fd: fd must be a socket";
        return Err(RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_DOMAIN, detail));
    }
    open(&client, &call.dom, call.idx, connection, call.flags).await
}

/// A client is given the other end of one.
async fn give(client: Arc<Client>, call: DomainOpenGraphicsFd) -> Result<((), Vec<OwnedFd>), RpcError> {
    only(call.flags, SKIP_AUTH, "virDomainOpenGraphicsFD")?;
    if !client.peer.is_local() {
        let detail = "descriptors are not handed to other machines";
        return Err(RpcError::new(codes::ERR_OPERATION_UNSUPPORTED, codes::FROM_RPC, detail));
    }
    let (theirs, ours) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
        .map_err(|error| internal(&format!("no connection can be made: {error}")))?;
    open(&client, &call.dom, call.idx, ours, call.flags).await?;
    Ok(((), vec![theirs]))
}

async fn open(
    client: &Arc<Client>,
    domain: &DomainHandle,
    index: u32,
    connection: OwnedFd,
    flags: u32,
) -> Result<(), RpcError> {
    let domain = client.domain(domain).await?;
    if domain.run_number.is_none() {
        return Err(invalid("domain is not running"));
    }
    let index = usize::try_from(index).unwrap_or(usize::MAX);
    let trusted = flags & SKIP_AUTH != 0;
    let opened = client.host().open_display(&reference(&domain), index, connection, trusted).await;
    opened.map_err(|error| failure::of_domain(&error))
}
