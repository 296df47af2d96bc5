//! What clients call, one file for each family.

mod addresses;
mod autostart;
mod block_copy;
mod block_jobs;
mod blocks;
mod capabilities;
mod command;
mod connect;
mod counters;
mod cpu;
mod define;
mod devices;
mod events;
mod graphics;
mod guest_agent;
mod guest_info;
mod guest_keys;
mod hardware;
mod info;
mod interfaces;
mod lifecycle;
mod limits;
mod lookup;
mod machine;
mod metadata;
mod migration;
mod migration_pace;
mod monitor;
mod network_parts;
mod networks;
mod node;
mod node_devices;
mod nwfilters;
mod pool_sources;
mod saved;
mod saving;
mod screen;
mod secrets;
mod sizing;
mod snapshots;
mod stats;
mod storage;
mod threads;
mod tuning;
mod updates;
mod volume_content;
mod volumes;
mod work;
mod xml;

use hostler_rpc::codes;
use hostler_rpc::error::RpcError;

use crate::dispatch::{Incoming, Work};

pub(crate) use connect::supports;

/// What carries a call out; nothing for one that is not served.
pub(crate) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    const FAMILIES: &[fn(Incoming<'_>) -> Option<Work<'_>>] = &[
        connect::route,
        lookup::route,
        define::route,
        lifecycle::route,
        devices::route,
        saving::route,
        snapshots::route,
        block_jobs::route,
        block_copy::route,
        info::route,
        xml::route,
        autostart::route,
        metadata::route,
        migration::route,
        migration_pace::route,
        node::route,
        capabilities::route,
        events::route,
        screen::route,
        stats::route,
        storage::route,
        volumes::route,
        volume_content::route,
        pool_sources::route,
        networks::route,
        network_parts::route,
        secrets::route,
        node_devices::route,
        interfaces::route,
        nwfilters::route,
        addresses::route,
        blocks::route,
        counters::route,
        cpu::route,
        graphics::route,
        guest_agent::route,
        guest_info::route,
        guest_keys::route,
        hardware::route,
        machine::route,
        saved::route,
        sizing::route,
        threads::route,
        limits::route,
        tuning::route,
        updates::route,
        work::route,
    ];
    FAMILIES.iter().find_map(|family| family(incoming))
}

/// The same for the program of our own.
pub(crate) fn route_own(incoming: Incoming<'_>) -> Option<Work<'_>> {
    command::route(incoming)
}

/// The same for the program of QEMU's own.
pub(crate) fn route_qemu(incoming: Incoming<'_>) -> Option<Work<'_>> {
    monitor::route_qemu(incoming).or_else(|| guest_agent::route_qemu(incoming))
}

/// Refuses flags that are not known, as libvirt does.
fn only(flags: u32, known: u32, function: &str) -> Result<(), RpcError> {
    match flags & !known {
        0 => Ok(()),
        unknown => {
            let detail = format!("unsupported flags (0x{unknown:x}) in function {function}");
            Err(RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_QEMU, detail))
        }
    }
}

/// What is refused for good, with the reason.
fn unsupported(origin: i32, detail: &str) -> RpcError {
    RpcError::new(codes::ERR_OPERATION_UNSUPPORTED, origin, detail)
}

/// An operation that does not fit how a domain stands.
fn invalid(detail: &str) -> RpcError {
    RpcError::new(codes::ERR_OPERATION_INVALID, codes::FROM_DOMAIN, detail)
}

/// Whether something that is so, or is not, is among what flags ask for: those that are, those that are not, or all.
fn meets(flags: u32, (yes, no): (u32, u32), is: bool) -> bool {
    flags & (yes | no) == 0 || flags & (if is { yes } else { no }) != 0
}

/// How many there are, as clients count.
fn count<T: TryFrom<usize> + Default>(number: usize) -> T {
    T::try_from(number).unwrap_or_default()
}
