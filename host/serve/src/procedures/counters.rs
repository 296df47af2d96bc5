//! What is counted of one guest: its disks, interfaces, memory, time.

use std::sync::Arc;

use hostler_domains::{DomainIdentity, InterfaceDevice};
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::typed::{STRING_OKAY, TypedValue};
use hostler_rpc::wire::{
    DomainBlockStats, DomainBlockStatsAnswer, DomainBlockStatsFlags, DomainBlockStatsFlagsAnswer,
    DomainDiskError, DomainGetCpuStats, DomainGetCpuStatsAnswer, DomainGetDiskErrors,
    DomainGetDiskErrorsAnswer, DomainHandle, DomainInterfaceStats, DomainInterfaceStatsAnswer,
    DomainMemoryStat, DomainMemoryStats, DomainMemoryStatsAnswer, DomainStartDirtyRateCalc, TypedParam,
};
use hostler_rpc::xdr::List;

use super::{count, invalid, only};
use crate::client::{Client, reference};
use crate::dispatch::{Incoming, Work, routes};
use crate::failure;

/// Counters of a disk, as clients call them and as bulk statistics do.
const DISK: [(&str, &str); 8] = [
    ("wr_bytes", "wr.bytes"),
    ("wr_operations", "wr.reqs"),
    ("rd_bytes", "rd.bytes"),
    ("rd_operations", "rd.reqs"),
    ("flush_operations", "fl.reqs"),
    ("wr_total_times", "wr.times"),
    ("rd_total_times", "rd.times"),
    ("flush_total_times", "fl.times"),
];
/// What is told of a guest's memory, by its number.
const MEMORY: [(i32, &str); 13] = [
    (6, "balloon.current"),
    (0, "balloon.swap_in"),
    (1, "balloon.swap_out"),
    (2, "balloon.major_fault"),
    (3, "balloon.minor_fault"),
    (4, "balloon.unused"),
    (5, "balloon.available"),
    (8, "balloon.usable"),
    (9, "balloon.last-update"),
    (10, "balloon.disk_caches"),
    (11, "balloon.hugetlb_pgalloc"),
    (12, "balloon.hugetlb_pgfail"),
    (7, "memory.resident"),
];

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming;
        DomainBlockStats => block_stats,
        DomainBlockStatsFlags => block_stats_with_flags,
        DomainInterfaceStats => interface_stats,
        DomainMemoryStats => memory_stats,
        DomainGetCpuStats => cpu_stats,
        DomainGetDiskErrors => disk_errors,
        DomainStartDirtyRateCalc => measure_writes,
    }
}

/// The counters of one guest.
struct Counters(Vec<(String, String)>);

impl Counters {
    async fn of(client: &Client, domain: &DomainIdentity) -> Result<Self, RpcError> {
        if domain.run_number.is_none() {
            return Err(invalid("domain is not running"));
        }
        let stats = client.host().stats(&[reference(domain)]).await;
        let stats = stats.map_err(|error| failure::of_domain(&error))?;
        let stats = stats.into_iter().next().ok_or_else(|| invalid("domain is not running"))?;
        match stats.missing {
            None => Ok(Self(stats.counters)),
            Some(why) => Err(RpcError::new(codes::ERR_OPERATION_FAILED, codes::FROM_QEMU, why)),
        }
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    fn disks(&self) -> impl Iterator<Item = u64> + use<> {
        0..self.number("block.count").unwrap_or(0)
    }

    /// The place of a disk in the counters.
    fn disk(&self, target: &str) -> Option<u64> {
        self.disks().find(|index| self.text(&format!("block.{index}.name")) == Some(target))
    }
}

/// The disk with this target, or that writes to this file; all disks for an empty name.
async fn disks_named(
    client: &Client,
    domain: &DomainIdentity,
    counters: &Counters,
    named: &str,
) -> Result<Vec<u64>, RpcError> {
    if named.is_empty() {
        return Ok(counters.disks().collect());
    }
    if let Some(disk) = counters.disk(named) {
        return Ok(vec![disk]);
    }
    let shown = client.host().show(&reference(domain)).await.map_err(|error| failure::of_domain(&error))?;
    let has = |chain: &[hostler_domains::LayerSummary]| {
        chain.first().is_some_and(|layer| layer.path.as_os_str() == named)
    };
    let disk = shown.disks.iter().find(|disk| disk.chain.as_deref().is_ok_and(has));
    let disk = disk.and_then(|disk| counters.disk(&disk.target)).ok_or_else(|| {
        let detail = format!("invalid path: {named}");
        RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_QEMU, detail)
    })?;
    Ok(vec![disk])
}

/// One counter of some disks together; nothing when none of them has it.
fn sum(counters: &Counters, disks: &[u64], name: &str) -> Option<u64> {
    let found = disks.iter().filter_map(|disk| counters.number(&format!("block.{disk}.{name}")));
    found.reduce(u64::saturating_add)
}

async fn block_stats(
    client: Arc<Client>,
    call: DomainBlockStats,
) -> Result<DomainBlockStatsAnswer, RpcError> {
    let domain = client.domain(&call.dom).await?;
    let counters = Counters::of(&client, &domain).await?;
    let disks = disks_named(&client, &domain, &counters, &call.path).await?;
    // Less than nothing says that it is not known.
    let value =
        |name: &str| sum(&counters, &disks, name).and_then(|value| i64::try_from(value).ok()).unwrap_or(-1);
    Ok(DomainBlockStatsAnswer {
        rd_req: value("rd.reqs"),
        rd_bytes: value("rd.bytes"),
        wr_req: value("wr.reqs"),
        wr_bytes: value("wr.bytes"),
        errs: -1,
    })
}

async fn block_stats_with_flags(
    client: Arc<Client>,
    call: DomainBlockStatsFlags,
) -> Result<DomainBlockStatsFlagsAnswer, RpcError> {
    only(call.flags, STRING_OKAY, "virDomainBlockStatsFlags")?;
    let domain = client.domain(&call.dom).await?;
    let counters = Counters::of(&client, &domain).await?;
    let disks = disks_named(&client, &domain, &counters, &call.path).await?;
    let known: Vec<_> = DISK
        .iter()
        .filter_map(|(name, counter)| {
            let value = i64::try_from(sum(&counters, &disks, counter)?).unwrap_or(i64::MAX);
            Some(TypedParam::new(*name, TypedValue::Long(value)))
        })
        .collect();
    let nparams = count(known.len());
    if call.nparams == 0 {
        return Ok(DomainBlockStatsFlagsAnswer { params: List(Vec::new()), nparams });
    }
    Ok(DomainBlockStatsFlagsAnswer { params: List(known), nparams })
}

/// The interface with this address, or that this device connects.
pub(super) async fn interface(
    client: &Client,
    domain: &DomainIdentity,
    named: &str,
) -> Result<InterfaceDevice, RpcError> {
    let all = client.host().interface_devices(&reference(domain)).await;
    let all = all.map_err(|error| failure::of_domain(&error))?;
    let found = all.into_iter().find(|one| one.device == named || one.mac.eq_ignore_ascii_case(named));
    found.ok_or_else(|| {
        let detail = format!("'{named}' is not a known interface");
        RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_DOMAIN, detail)
    })
}

async fn interface_stats(
    client: Arc<Client>,
    call: DomainInterfaceStats,
) -> Result<DomainInterfaceStatsAnswer, RpcError> {
    let domain = client.domain(&call.dom).await?;
    if domain.run_number.is_none() {
        return Err(invalid("domain is not running"));
    }
    let InterfaceDevice { received, sent, .. } = interface(&client, &domain, &call.device).await?;
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let [rx_bytes, rx_packets, rx_errs, rx_drop] = received.map(number);
    let [tx_bytes, tx_packets, tx_errs, tx_drop] = sent.map(number);
    Ok(DomainInterfaceStatsAnswer {
        rx_bytes,
        rx_packets,
        rx_errs,
        rx_drop,
        tx_bytes,
        tx_packets,
        tx_errs,
        tx_drop,
    })
}

async fn memory_stats(
    client: Arc<Client>,
    call: DomainMemoryStats,
) -> Result<DomainMemoryStatsAnswer, RpcError> {
    only(call.flags, 0, "virDomainMemoryStats")?;
    let domain = client.domain(&call.dom).await?;
    let counters = Counters::of(&client, &domain).await?;
    let most = usize::try_from(call.max_stats).unwrap_or(usize::MAX);
    // A machine without a balloon has all its memory.
    let value = |name: &str| match name {
        "balloon.current" => counters.number(name).or_else(|| counters.number("balloon.maximum")),
        _ => counters.number(name),
    };
    let known =
        MEMORY.iter().filter_map(|(tag, name)| Some(DomainMemoryStat { tag: *tag, val: value(name)? }));
    Ok(DomainMemoryStatsAnswer { stats: List(known.take(most).collect()) })
}

/// Time of a guest: what all processors of the host have given it. Which of them gave what nobody counts here.
async fn cpu_stats(
    client: Arc<Client>,
    call: DomainGetCpuStats,
) -> Result<DomainGetCpuStatsAnswer, RpcError> {
    const TOTAL: i32 = -1;
    only(call.flags, STRING_OKAY, "virDomainGetCPUStats")?;
    let domain = client.domain(&call.dom).await?;
    let counters = Counters::of(&client, &domain).await?;
    if call.start_cpu != TOTAL {
        let detail = "cgroup CPUACCT controller is not mounted";
        return Err(RpcError::new(codes::ERR_OPERATION_INVALID, codes::FROM_QEMU, detail));
    }
    let known: Vec<_> = [("cpu_time", "cpu.time"), ("user_time", "cpu.user"), ("system_time", "cpu.system")]
        .iter()
        .filter_map(|(name, counter)| {
            Some(TypedParam::new(*name, TypedValue::ULong(counters.number(counter)?)))
        })
        .collect();
    let nparams = count(known.len());
    let params = if call.nparams == 0 { Vec::new() } else { known };
    Ok(DomainGetCpuStatsAnswer { params: List(params), nparams })
}

async fn disk_errors(
    client: Arc<Client>,
    call: DomainGetDiskErrors,
) -> Result<DomainGetDiskErrorsAnswer, RpcError> {
    const UNSPECIFIED: i32 = 1;
    const NO_SPACE: i32 = 2;
    only(call.flags, 0, "virDomainGetDiskErrors")?;
    let domain = client.domain(&call.dom).await?;
    let counters = Counters::of(&client, &domain).await?;
    if call.maxerrors == 0 {
        return Ok(DomainGetDiskErrorsAnswer {
            errors: List(Vec::new()),
            nerrors: count(counters.disks().count()),
        });
    }
    let error = |disk: u64| {
        let error =
            if counters.text(&format!("block.{disk}.error"))? == "nospace" { NO_SPACE } else { UNSPECIFIED };
        Some(DomainDiskError { disk: counters.text(&format!("block.{disk}.name"))?.to_owned(), error })
    };
    let errors: Vec<_> = counters.disks().filter_map(error).collect();
    Ok(DomainGetDiskErrorsAnswer { nerrors: count(errors.len()), errors: List(errors) })
}

async fn measure_writes(client: Arc<Client>, call: DomainStartDirtyRateCalc) -> Result<(), RpcError> {
    // Sampling of pages is what is always there.
    only(call.flags, 0, "virDomainStartDirtyRateCalc")?;
    let domain = running(&client, &call.dom).await?;
    let seconds = u32::try_from(call.seconds).unwrap_or(0);
    let begun = client.host().measure_writes(&reference(&domain), seconds).await;
    begun.map_err(|error| failure::of_domain(&error))
}

/// A domain that runs.
pub(super) async fn running(client: &Client, dom: &DomainHandle) -> Result<DomainIdentity, RpcError> {
    let domain = client.domain(dom).await?;
    match domain.run_number {
        Some(_) => Ok(domain),
        None => Err(invalid("domain is not running")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_several_disks_are_added_as_far_as_they_are_known() {
        let pairs = [
            ("block.count", "2"),
            ("block.0.name", "vda"),
            ("block.0.rd.bytes", "7"),
            ("block.1.rd.bytes", "5"),
        ];
        let counters = Counters(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec());
        assert_eq!(counters.disk("vda"), Some(0));
        assert_eq!(sum(&counters, &[0, 1], "rd.bytes"), Some(12));
        assert_eq!(sum(&counters, &[0, 1], "wr.bytes"), None);
    }
}
