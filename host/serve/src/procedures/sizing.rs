//! How much memory and how many processors a domain has.

use std::sync::Arc;

use hostler_domain::Domain;
use hostler_domains::{DomainIdentity, Scope, Which};
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::wire::{
    DomainGetVcpusFlags, DomainGetVcpusFlagsAnswer, DomainHandle, DomainSetMaxMemory, DomainSetMemory,
    DomainSetMemoryFlags, DomainSetMemoryStatsPeriod, DomainSetVcpus, DomainSetVcpusFlags,
};

use super::{invalid, only};
use crate::client::{Client, reference};
use crate::dispatch::{Incoming, Work, routes};
use crate::failure;

/// In what runs, in the definition; where neither is said, in what there is of the two. What there can be at most; what the guest
/// itself uses; processors that can be taken out again.
const LIVE: u32 = 1;
const CONFIG: u32 = 2;
const MAXIMUM: u32 = 4;
const GUEST: u32 = 8;
const HOTPLUGGABLE: u32 = 16;
/// Bytes of the unit that memory is counted in.
const KIB: u64 = 1_024;

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming;
        DomainSetMemory => async |client, call: DomainSetMemory| {
            set_memory(&client, &call.dom, call.memory, LIVE).await
        },
        DomainSetMemoryFlags => async |client, call: DomainSetMemoryFlags| {
            set_memory(&client, &call.dom, call.memory, call.flags).await
        },
        DomainSetMaxMemory => async |client, call: DomainSetMaxMemory| {
            set_memory(&client, &call.dom, call.memory, MAXIMUM).await
        },
        DomainSetMemoryStatsPeriod => set_period,
        DomainSetVcpus => async |client, call: DomainSetVcpus| {
            set_vcpus(&client, &call.dom, call.nvcpus, LIVE).await
        },
        DomainSetVcpusFlags => async |client, call: DomainSetVcpusFlags| {
            set_vcpus(&client, &call.dom, call.nvcpus, call.flags).await
        },
        DomainGetVcpusFlags => vcpus,
    }
}

/// Where a change is made of a domain that runs, or does not.
pub(super) fn scope(flags: u32, domain: &DomainIdentity) -> Result<Scope, RpcError> {
    let runs = domain.run_number.is_some();
    let scope = match flags & (LIVE | CONFIG) {
        0 => Scope { live: runs, config: !runs },
        flags => Scope { live: flags & LIVE != 0, config: flags & CONFIG != 0 },
    };
    if scope.live && !runs {
        return Err(invalid("domain is not running"));
    }
    if scope.config && !domain.persistent {
        return Err(invalid("cannot change persistent config of a transient domain"));
    }
    Ok(scope)
}

async fn set_memory(client: &Client, dom: &DomainHandle, kib: u64, flags: u32) -> Result<(), RpcError> {
    only(flags, LIVE | CONFIG | MAXIMUM, "virDomainSetMemoryFlags")?;
    let bytes = kib.checked_mul(KIB).filter(|bytes| *bytes > 0).ok_or_else(|| {
        RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_DOMAIN, format!("{kib} KiB is no amount of memory"))
    })?;
    let (domain, _job) = client.change(dom).await?;
    let scope = scope(flags, &domain)?;
    if flags & MAXIMUM == 0 {
        let set = client.host().set_memory(&reference(&domain), bytes, scope).await;
        return set.map(drop).map_err(|error| failure::of_domain(&error));
    }
    if scope.live {
        let detail = "cannot resize the maximum memory on an active domain";
        return Err(RpcError::new(codes::ERR_OPERATION_INVALID, codes::FROM_QEMU, detail));
    }
    let set = client.host().set_memory_limit(&reference(&domain), bytes).await;
    set.map_err(|error| failure::of_domain(&error))
}

async fn set_period(client: Arc<Client>, call: DomainSetMemoryStatsPeriod) -> Result<(), RpcError> {
    only(call.flags, LIVE | CONFIG, "virDomainSetMemoryStatsPeriod")?;
    let seconds = u32::try_from(call.period).map_err(|_| {
        let detail =
            format!("period in virDomainSetMemoryStatsPeriod must be zero or greater, not {}", call.period);
        RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_DOMAIN, detail)
    })?;
    let (domain, _job) = client.change(&call.dom).await?;
    let scope = scope(call.flags, &domain)?;
    let wanted = reference(&domain);
    if scope.live {
        let set = client.host().count_memory(&wanted, seconds).await;
        set.map_err(|error| failure::of_domain(&error))?;
    }
    if scope.config {
        let set = client.host().set_memory_period(&wanted, seconds).await;
        set.map_err(|error| failure::of_domain(&error))?;
    }
    Ok(())
}

async fn set_vcpus(client: &Client, dom: &DomainHandle, count: u32, flags: u32) -> Result<(), RpcError> {
    only(flags, LIVE | CONFIG | MAXIMUM | GUEST | HOTPLUGGABLE, "virDomainSetVcpusFlags")?;
    if count == 0 {
        let detail = "nvcpus in virDomainSetVcpusFlags must be greater than zero";
        return Err(RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_DOMAIN, detail));
    }
    let (domain, _job) = client.change(dom).await?;
    let scope = scope(flags, &domain)?;
    if flags & GUEST != 0 {
        return super::guest_agent::set_vcpus(client, &domain, count).await;
    }
    let wanted = reference(&domain);
    let set = match (flags & MAXIMUM != 0, scope.live) {
        (true, true) => {
            let detail = "maximum vcpu count of a live domain can't be modified";
            return Err(RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_QEMU, detail));
        }
        (true, false) => client.host().set_vcpu_limit(&wanted, count).await,
        (false, _) => client.host().set_vcpus(&wanted, count, scope).await.map(drop),
    };
    set.map_err(|error| failure::of_domain(&error))
}

async fn vcpus(
    client: Arc<Client>,
    call: DomainGetVcpusFlags,
) -> Result<DomainGetVcpusFlagsAnswer, RpcError> {
    only(call.flags, LIVE | CONFIG | MAXIMUM | GUEST, "virDomainGetVcpusFlags")?;
    let domain = client.domain(&call.dom).await?;
    let scope = scope(call.flags, &domain)?;
    if call.flags & GUEST != 0 {
        let num = super::guest_agent::vcpu_count(&client, &domain, call.flags & MAXIMUM != 0).await?;
        return Ok(DomainGetVcpusFlagsAnswer { num });
    }
    let document = document(&client, &domain, scope.which()).await?;
    let vcpus = &document.vcpus;
    let num = if call.flags & MAXIMUM != 0 { vcpus.maximum } else { vcpus.at_start() };
    Ok(DomainGetVcpusFlagsAnswer { num: i32::try_from(num).unwrap_or(i32::MAX) })
}

/// The document of a domain, read.
pub(super) async fn document(
    client: &Client,
    domain: &DomainIdentity,
    which: Which,
) -> Result<Domain, RpcError> {
    let xml = client.host().xml(&reference(domain), which).await;
    let xml = xml.map_err(|error| failure::of_domain(&error))?;
    Domain::parse(&xml).map_err(|error| {
        RpcError::new(
            codes::ERR_INTERNAL_ERROR,
            codes::FROM_DOMAIN,
            format!("the document cannot be read: {error}"),
        )
    })
}
