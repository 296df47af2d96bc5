//! The machine that all this runs on.

use std::sync::Arc;

use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::wire::{
    NodeGetCpuMap, NodeGetCpuMapAnswer, NodeGetCpuStats, NodeGetCpuStatsAnswer, NodeGetCpuStatsEntry,
    NodeGetFreeMemory, NodeGetFreeMemoryAnswer, NodeGetInfo, NodeGetInfoAnswer, NodeGetMemoryStats,
    NodeGetMemoryStatsAnswer, NodeGetMemoryStatsEntry,
};
use hostler_rpc::xdr::{Characters, List, Opaque};

use super::{count, only};
use crate::client::Client;
use crate::dispatch::{Incoming, Work, routes};

/// Stands for all processors together, or all memory.
const ALL: i32 = -1;

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming;
        NodeGetInfo => info,
        NodeGetFreeMemory => free_memory,
        NodeGetMemoryStats => memory_stats,
        NodeGetCpuStats => cpu_stats,
        NodeGetCpuMap => cpu_map,
    }
}

/// The processors that this may run on.
pub(super) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

async fn info(_: Arc<Client>, _: NodeGetInfo) -> Result<NodeGetInfoAnswer, RpcError> {
    let cpus: i32 = count(processors());
    Ok(NodeGetInfoAnswer {
        model: Characters::of(std::env::consts::ARCH),
        memory: memory("MemTotal")?,
        cpus,
        mhz: mhz(),
        nodes: 1,
        // How they are laid out is nothing that a guest here is placed by.
        sockets: 1,
        cores: cpus,
        threads: 1,
    })
}

fn mhz() -> i32 {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("cpu MHz"));
    let value = line.and_then(|line| line.split(['.', ':']).nth(1)?.trim().parse().ok());
    // Zero says that it is not known.
    value.unwrap_or(0)
}

/// A line of `/proc/meminfo`, in KiB.
pub(super) fn memory(name: &str) -> Result<u64, RpcError> {
    let text =
        std::fs::read_to_string("/proc/meminfo").map_err(|error| unreadable("/proc/meminfo", &error))?;
    memory_of(&text, name).ok_or_else(|| unreadable("/proc/meminfo", &"it has no such line"))
}

fn memory_of(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

fn unreadable(what: &str, why: &dyn std::fmt::Display) -> RpcError {
    RpcError::new(codes::ERR_SYSTEM_ERROR, codes::FROM_NONE, format!("cannot read {what}: {why}"))
}

async fn free_memory(_: Arc<Client>, _: NodeGetFreeMemory) -> Result<NodeGetFreeMemoryAnswer, RpcError> {
    Ok(NodeGetFreeMemoryAnswer { free_mem: memory("MemFree")? * 1_024 })
}

async fn memory_stats(
    _: Arc<Client>,
    call: NodeGetMemoryStats,
) -> Result<NodeGetMemoryStatsAnswer, RpcError> {
    const LINES: [(&str, &str); 4] =
        [("total", "MemTotal"), ("free", "MemFree"), ("buffers", "Buffers"), ("cached", "Cached")];
    only(call.flags, 0, "virNodeGetMemoryStats")?;
    let nparams = count(LINES.len());
    if call.nparams == 0 {
        return Ok(NodeGetMemoryStatsAnswer { params: List(Vec::new()), nparams });
    }
    let mut params = Vec::new();
    for (field, line) in LINES {
        params.push(NodeGetMemoryStatsEntry { field: field.to_owned(), value: memory(line)? });
    }
    Ok(NodeGetMemoryStatsAnswer { params: List(params), nparams })
}

async fn cpu_stats(_: Arc<Client>, call: NodeGetCpuStats) -> Result<NodeGetCpuStatsAnswer, RpcError> {
    only(call.flags, 0, "virNodeGetCPUStats")?;
    let text = std::fs::read_to_string("/proc/stat").map_err(|error| unreadable("/proc/stat", &error))?;
    let found = times(&text, call.cpu_num, rustix::param::clock_ticks_per_second());
    let found = found.ok_or_else(|| {
        let detail = format!("no processor has the number {}", call.cpu_num);
        RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_NONE, detail)
    })?;
    let nparams = count(found.len());
    let params = if call.nparams == 0 { Vec::new() } else { found };
    Ok(NodeGetCpuStatsAnswer { params: List(params), nparams })
}

/// Times in nanoseconds from `/proc/stat` (proc(5)).
fn times(text: &str, number: i32, ticks_per_second: u64) -> Option<Vec<NodeGetCpuStatsEntry>> {
    let name = if number == ALL { "cpu".to_owned() } else { format!("cpu{number}") };
    let line = text.lines().find(|line| line.split(' ').next() == Some(name.as_str()))?;
    let ticks: Vec<u64> = line.split_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
    let sum = |fields: &[usize]| fields.iter().filter_map(|field| ticks.get(*field)).sum::<u64>();
    let entry = |field: &str, ticks: u64| NodeGetCpuStatsEntry {
        field: field.to_owned(),
        value: ticks.saturating_mul(1_000_000_000 / ticks_per_second.max(1)),
    };
    Some(vec![
        entry("kernel", sum(&[2, 5, 6])),
        entry("user", sum(&[0, 1])),
        entry("idle", sum(&[3])),
        entry("iowait", sum(&[4])),
    ])
}

async fn cpu_map(_: Arc<Client>, call: NodeGetCpuMap) -> Result<NodeGetCpuMapAnswer, RpcError> {
    only(call.flags, 0, "virNodeGetCPUMap")?;
    let cpus = processors();
    let map = (0..cpus.div_ceil(8)).map(|byte| {
        let bits = (cpus - byte * 8).min(8);
        u8::try_from((1_u16 << bits) - 1).unwrap_or(u8::MAX)
    });
    Ok(NodeGetCpuMapAnswer {
        cpumap: Opaque(if call.need_map == 0 { Vec::new() } else { map.collect() }),
        online: if call.need_online == 0 { 0 } else { count(cpus) },
        ret: count(cpus),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_proc_are_read_by_their_names() {
        let text = "MemTotal:       24000 kB\nMemFree:         1000 kB\n";
        assert_eq!((memory_of(text, "MemTotal"), memory_of(text, "Mem")), (Some(24_000), None));
        let text = "cpu  1 2 3 4 5 6 7\ncpu1 10 0 0 0 0\n";
        let value = |number, field: &str| {
            let found = times(text, number, 100).unwrap();
            found.into_iter().find(|entry| entry.field == field).unwrap().value
        };
        assert_eq!((value(ALL, "kernel"), value(1, "user")), (160_000_000, 100_000_000));
        assert!(times(text, 7, 100).is_none());
    }
}
