//! Processors and threads of a guest: what they have done, and where they may run.
//!
//! Of a guest that runs the threads themselves are bound; what its definition says counts from its next start.

use std::sync::Arc;

use hostler_domain::{Document, Pinning};
use hostler_domains::{DomainIdentity, DomainRef, GuestThread, Host, ThreadKind, Which};
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::wire::{
    DomainAddIothread, DomainDelIothread, DomainGetEmulatorPinInfo, DomainGetEmulatorPinInfoAnswer,
    DomainGetIothreadInfo, DomainGetIothreadInfoAnswer, DomainGetVcpuPinInfo, DomainGetVcpuPinInfoAnswer,
    DomainGetVcpus, DomainGetVcpusAnswer, DomainHandle, DomainIothreadInfo, DomainPinEmulator,
    DomainPinIothread, DomainPinVcpu, DomainPinVcpuFlags, VcpuInfo,
};
use hostler_rpc::xdr::{List, Opaque};

use super::sizing::{document, scope};
use super::{count, node, only};
use crate::client::{Client, reference};
use crate::dispatch::{Incoming, Work, routes};
use crate::failure;

/// In what runs, in the definition.
const LIVE: u32 = 1;
const CONFIG: u32 = 2;
/// Longest map of processors, in bytes.
const MAP_BYTES: usize = 2_048;

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming;
        DomainGetVcpus => vcpus,
        DomainGetVcpuPinInfo => vcpu_places,
        DomainGetEmulatorPinInfo => emulator_places,
        DomainGetIothreadInfo => io_threads,
        DomainAddIothread => async |client, call: DomainAddIothread| {
            change_io_threads(&client, &call.dom, call.flags, async |host, domain| {
                host.add_io_thread(&domain, call.iothread_id).await
            })
            .await
        },
        DomainDelIothread => async |client, call: DomainDelIothread| {
            change_io_threads(&client, &call.dom, call.flags, async |host, domain| {
                host.remove_io_thread(&domain, call.iothread_id).await
            })
            .await
        },
        DomainPinVcpu => async |client, call: DomainPinVcpu| {
            pin(&client, &call.dom, ThreadKind::Vcpu(call.vcpu), (&call.cpumap.0, LIVE)).await
        },
        DomainPinVcpuFlags => async |client, call: DomainPinVcpuFlags| {
            pin(&client, &call.dom, ThreadKind::Vcpu(call.vcpu), (&call.cpumap.0, call.flags)).await
        },
        DomainPinEmulator => async |client, call: DomainPinEmulator| {
            pin(&client, &call.dom, ThreadKind::Emulator, (&call.cpumap.0, call.flags)).await
        },
        DomainPinIothread => async |client, call: DomainPinIothread| {
            pin(&client, &call.dom, ThreadKind::IoThread(call.iothreads_id), (&call.cpumap.0, call.flags)).await
        },
    }
}

fn wrong(detail: String) -> RpcError {
    RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_DOMAIN, detail)
}

/// The threads of a guest that runs.
async fn threads(client: &Client, dom: &DomainHandle) -> Result<Vec<GuestThread>, RpcError> {
    let domain = super::counters::running(client, dom).await?;
    client.host().threads(&reference(&domain)).await.map_err(|error| failure::of_domain(&error))
}

/// A map of so many bytes with a bit for each of these processors.
fn map_of(cpus: &[u32], bytes: usize) -> Vec<u8> {
    let mut map = vec![0; bytes];
    for cpu in cpus {
        let at = usize::try_from(*cpu / 8).unwrap_or(usize::MAX);
        if let Some(byte) = map.get_mut(at) {
            *byte |= 1 << (cpu % 8);
        }
    }
    map
}

fn cpus_in(map: &[u8]) -> Vec<u32> {
    let bits =
        map.iter().zip(0_u32..).flat_map(|(byte, at)| (0..8).map(move |bit| (byte >> bit & 1, at * 8 + bit)));
    bits.filter_map(|(set, cpu)| (set == 1).then_some(cpu)).collect()
}

/// How long a map is that a client has room for.
fn length(wanted: i32) -> usize {
    usize::try_from(wanted).unwrap_or(0).min(MAP_BYTES)
}

async fn vcpus(client: Arc<Client>, call: DomainGetVcpus) -> Result<DomainGetVcpusAnswer, RpcError> {
    const RUNNING: i32 = 1;
    let threads = threads(&client, &call.dom).await?;
    let most = usize::try_from(call.maxinfo).unwrap_or(0);
    let bytes = length(call.maplen);
    let mut found: Vec<(u32, &GuestThread)> = threads
        .iter()
        .filter_map(|thread| match thread.kind {
            ThreadKind::Vcpu(number) => Some((number, thread)),
            _ => None,
        })
        .collect();
    found.sort_by_key(|(number, _)| *number);
    found.truncate(most);
    let info = found.iter().map(|(number, thread)| VcpuInfo {
        number: *number,
        state: RUNNING,
        cpu_time: thread.time_ns,
        cpu: i32::try_from(thread.last_cpu).unwrap_or(-1),
    });
    Ok(DomainGetVcpusAnswer {
        info: List(info.collect()),
        cpumaps: Opaque(found.iter().flat_map(|(_, thread)| map_of(&thread.cpus, bytes)).collect()),
    })
}

/// All processors of this system, where nothing else is true: in a definition.
fn everywhere() -> Vec<u32> {
    (0..count::<u32>(node::processors())).collect()
}

async fn vcpu_places(
    client: Arc<Client>,
    call: DomainGetVcpuPinInfo,
) -> Result<DomainGetVcpuPinInfoAnswer, RpcError> {
    only(call.flags, LIVE | CONFIG, "virDomainGetVcpuPinInfo")?;
    let domain = client.domain(&call.dom).await?;
    let scope = scope(call.flags, &domain)?;
    let bytes = length(call.maplen);
    let document = document(&client, &domain, scope.which()).await?;
    let all = document.vcpus.at_start();
    let threads = if scope.live { threads(&client, &call.dom).await? } else { Vec::new() };
    let number = all.min(u32::try_from(call.ncpumaps).unwrap_or(0));
    let places = (0..number).flat_map(|vcpu| {
        let thread = threads.iter().find(|thread| thread.kind == ThreadKind::Vcpu(vcpu));
        let stored = || stored_place(document.document(), ThreadKind::Vcpu(vcpu));
        map_of(&thread.map_or_else(stored, |thread| thread.cpus.clone()), bytes)
    });
    let num = i32::try_from(number).unwrap_or(0);
    Ok(DomainGetVcpuPinInfoAnswer { cpumaps: Opaque(places.collect()), num })
}

async fn emulator_places(
    client: Arc<Client>,
    call: DomainGetEmulatorPinInfo,
) -> Result<DomainGetEmulatorPinInfoAnswer, RpcError> {
    only(call.flags, LIVE | CONFIG, "virDomainGetEmulatorPinInfo")?;
    let domain = client.domain(&call.dom).await?;
    let cpus = match scope(call.flags, &domain)?.live {
        true => {
            let threads = threads(&client, &call.dom).await?;
            threads.into_iter().find(|thread| thread.kind == ThreadKind::Emulator).map(|thread| thread.cpus)
        }
        false => {
            let document = document(&client, &domain, Which::Stored).await?;
            Some(stored_place(document.document(), ThreadKind::Emulator))
        }
    };
    let map = map_of(&cpus.unwrap_or_else(everywhere), length(call.maplen));
    Ok(DomainGetEmulatorPinInfoAnswer { cpumaps: Opaque(map), ret: 1 })
}

async fn io_threads(
    client: Arc<Client>,
    call: DomainGetIothreadInfo,
) -> Result<DomainGetIothreadInfoAnswer, RpcError> {
    only(call.flags, LIVE | CONFIG, "virDomainGetIOThreadInfo")?;
    let domain = client.domain(&call.dom).await?;
    let bytes = node::processors().div_ceil(8);
    let described =
        |id: u32, cpus: &[u32]| DomainIothreadInfo { iothread_id: id, cpumap: Opaque(map_of(cpus, bytes)) };
    let info: Vec<_> = match scope(call.flags, &domain)?.live {
        true => {
            let threads = threads(&client, &call.dom).await?;
            let own = threads.iter().filter_map(|thread| match thread.kind {
                ThreadKind::IoThread(id) => Some(described(id, &thread.cpus)),
                _ => None,
            });
            own.collect()
        }
        false => {
            let document = document(&client, &domain, Which::Stored).await?;
            let place = |id: u32| stored_place(document.document(), ThreadKind::IoThread(id));
            document.iothreads.all().iter().map(|thread| described(thread.id, &place(thread.id))).collect()
        }
    };
    Ok(DomainGetIothreadInfoAnswer { ret: count(info.len()), info: List(info) })
}

async fn pin(
    client: &Client,
    dom: &DomainHandle,
    kind: ThreadKind,
    (map, flags): (&[u8], u32),
) -> Result<(), RpcError> {
    only(flags, LIVE | CONFIG, "virDomainPinVcpuFlags")?;
    let cpus = cpus_in(map);
    if cpus.is_empty() {
        return Err(wrong("Empty cpu list for pinning".to_owned()));
    }
    let (domain, _job) = client.change(dom).await?;
    let (scope, wanted) = (scope(flags, &domain)?, reference(&domain));
    if scope.config {
        require_stored_thread(client, &domain, kind).await?;
        let pinned = client.host().pin_stored(&wanted, kind, &cpus).await;
        pinned.map_err(|error| failure::of_domain(&error))?;
    }
    if !scope.live {
        return Ok(());
    }
    let pinned = client.host().pin_thread(&wanted, kind, &cpus).await;
    pinned.map_err(|error| match (error.kind, kind) {
        (hostler_domains::Kind::NotFound, ThreadKind::Vcpu(vcpu)) => {
            wrong(format!("requested vcpu '{vcpu}' is not present in the domain"))
        }
        (hostler_domains::Kind::NotFound, ThreadKind::IoThread(id)) => {
            wrong(format!("iothread {id} not found"))
        }
        _ => failure::of_domain(&error),
    })
}

/// More or fewer I/O threads: of a definition, for a machine has those that it was started with.
async fn change_io_threads(
    client: &Client,
    dom: &DomainHandle,
    flags: u32,
    verb: impl AsyncFnOnce(&Host, DomainRef) -> Result<(), hostler_domains::Error>,
) -> Result<(), RpcError> {
    only(flags, LIVE | CONFIG, "virDomainAddIOThread")?;
    let (domain, _job) = client.change(dom).await?;
    if scope(flags, &domain)?.live {
        let detail = "I/O threads come and go with their guest only; change its stored definition";
        return Err(RpcError::new(codes::ERR_OPERATION_UNSUPPORTED, codes::FROM_QEMU, detail));
    }
    verb(client.host(), reference(&domain)).await.map_err(|error| failure::of_domain(&error))
}

/// Refuses a thread that the guest of a definition will not have.
async fn require_stored_thread(
    client: &Client,
    domain: &DomainIdentity,
    kind: ThreadKind,
) -> Result<(), RpcError> {
    let document = document(client, domain, Which::Stored).await?;
    match kind {
        ThreadKind::Vcpu(vcpu) if vcpu >= document.vcpus.maximum => Err(wrong(format!(
            "vcpu {vcpu} is out of range of persistent cpu count {}",
            document.vcpus.maximum
        ))),
        ThreadKind::IoThread(id) if document.iothreads.all().iter().all(|thread| thread.id != id) => {
            Err(wrong(format!("iothreadid {id} not found")))
        }
        _ => Ok(()),
    }
}

/// Where a definition has a thread run.
fn stored_place(document: &Document, kind: ThreadKind) -> Vec<u32> {
    Pinning::of(document).of_thread(kind.into()).ok().flatten().unwrap_or_else(everywhere)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_have_a_bit_for_each_processor() {
        assert_eq!(map_of(&[0, 9, 99], 2), [1, 2]);
        assert_eq!(cpus_in(&[1, 2]), [0, 9]);
        assert_eq!(cpus_in(&[0]), [0; 0]);
    }
}
