//! The guests, and what is called to change them.

use hostler_rpc::wire::{DomainCreateWithFlags, DomainCreateWithFlagsAnswer, DomainDefineXml, DomainHandle};

use crate::rpc_client::{Outcome, RpcClient};

/// Clients that work at once, each with a guest of its own.
pub(super) const CLIENTS: usize = 8;
/// Guests that are never ended; with those of the clients there are twenty.
pub(super) const STEADY: usize = 12;
/// The flag of a start that stays before the guest's first instruction.
pub(super) const PAUSED: u32 = 1;
/// The flag of a start that makes the variable store anew.
pub(super) const RESET_STORE: u32 = 32;

/// The name of a guest that is never ended.
pub(super) fn steady(number: usize) -> String {
    format!("steady-{number}")
}

/// The name of a client's own guest.
pub(super) fn own(number: usize) -> String {
    format!("own-{number}")
}

pub(super) fn define(client: &mut RpcClient, xml: String) -> DomainHandle {
    client.call(DomainDefineXml::NUMBER, &DomainDefineXml { xml }).unwrap().dom
}

pub(super) fn start(client: &mut RpcClient, name: &str, flags: u32) -> Outcome<DomainCreateWithFlagsAnswer> {
    let dom = client.domain(name).unwrap();
    client.call(DomainCreateWithFlags::NUMBER, &DomainCreateWithFlags { dom, flags })
}
