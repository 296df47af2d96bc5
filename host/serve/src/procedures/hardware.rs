//! What this machine has more: memory by its pages and nodes, what it says of itself, what keeps guests apart.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::typed::{STRING_OKAY, TypedValue};
use hostler_rpc::wire::{
    ConnectGetSysinfo, ConnectGetSysinfoAnswer, DomainGetSecurityLabel, DomainGetSecurityLabelAnswer,
    DomainGetSecurityLabelList, DomainGetSecurityLabelListAnswer, NodeAllocPages, NodeAllocPagesAnswer,
    NodeGetCellsFreeMemory, NodeGetCellsFreeMemoryAnswer, NodeGetFreePages, NodeGetFreePagesAnswer,
    NodeGetMemoryParameters, NodeGetMemoryParametersAnswer, NodeGetSecurityModel, NodeGetSecurityModelAnswer,
    NodeGetSevInfo, NodeGetSevInfoAnswer, TypedParam,
};
use hostler_rpc::xdr::List;

use super::node::memory;
use super::{count, only};
use crate::client::Client;
use crate::dispatch::{Incoming, Work, routes};

/// Where the kernel keeps its pools of large pages, and what it shares between guests.
const LARGE_PAGES: &str = "/sys/kernel/mm/hugepages";
const SHARING: &str = "/sys/kernel/mm/ksm";
/// What the firmware says of the machine.
const FIRMWARE: &str = "/sys/class/dmi/id";

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming;
        NodeGetCellsFreeMemory => cells,
        NodeGetFreePages => free_pages,
        NodeAllocPages => allocate,
        NodeGetMemoryParameters => sharing,
        NodeGetSevInfo => encryption,
        NodeGetSecurityModel => async |_client, _call: NodeGetSecurityModel| {
            // Guests are kept apart by their cages, for which no client has a name.
            Ok(NodeGetSecurityModelAnswer { model: List(Vec::new()), doi: List(Vec::new()) })
        },
        DomainGetSecurityLabel => async |client: Arc<Client>, call: DomainGetSecurityLabel| {
            client.domain(&call.dom).await?;
            Ok(DomainGetSecurityLabelAnswer { label: List(Vec::new()), enforcing: 0 })
        },
        DomainGetSecurityLabelList => async |client: Arc<Client>, call: DomainGetSecurityLabelList| {
            client.domain(&call.dom).await?;
            Ok(DomainGetSecurityLabelListAnswer { labels: List(Vec::new()), ret: 0 })
        },
        ConnectGetSysinfo => sysinfo,
    }
}

fn wrong(detail: String) -> RpcError {
    RpcError::new(codes::ERR_INTERNAL_ERROR, codes::FROM_NONE, detail)
}

/// All memory is one cell: guests are not placed.
fn require_cell(first: i32) -> Result<(), RpcError> {
    match first {
        0 => Ok(()),
        _ => Err(wrong(format!("start cell {first} out of range (0-0)"))),
    }
}

async fn cells(
    _: Arc<Client>,
    call: NodeGetCellsFreeMemory,
) -> Result<NodeGetCellsFreeMemoryAnswer, RpcError> {
    require_cell(call.start_cell)?;
    let free = memory("MemFree")? * 1_024;
    let cells = if call.maxcells > 0 { vec![free] } else { Vec::new() };
    Ok(NodeGetCellsFreeMemoryAnswer { cells: List(cells) })
}

/// The kernel's pool of pages of so many KiB.
fn pool(kib: u32) -> Result<PathBuf, RpcError> {
    let pool = Path::new(LARGE_PAGES).join(format!("hugepages-{kib}kB"));
    if pool.is_dir() {
        return Ok(pool);
    }
    let detail = format!("page size {kib} is not available on this machine");
    Err(RpcError::new(codes::ERR_OPERATION_FAILED, codes::FROM_NONE, detail))
}

fn system(what: &Path, error: &std::io::Error) -> RpcError {
    let detail = format!("cannot use '{}': {error}", what.display());
    RpcError::new(codes::ERR_SYSTEM_ERROR, codes::FROM_NONE, detail)
}

fn number_in(path: &Path) -> Result<u64, RpcError> {
    let text = fs::read_to_string(path).map_err(|error| system(path, &error))?;
    text.trim().parse().map_err(|_| wrong(format!("'{}' has no number", path.display())))
}

/// The size of the system's own pages, in KiB.
fn own_page() -> u32 {
    u32::try_from(rustix::param::page_size() >> 10).unwrap_or(4)
}

/// The sizes of pages that there are, in KiB, and how many there are of each.
pub(super) fn pages(memory_kib: u64) -> Vec<(u32, u64)> {
    let mut found = vec![(own_page(), memory_kib / u64::from(own_page()))];
    for entry in fs::read_dir(LARGE_PAGES).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let kib =
            name.to_str().and_then(|name| name.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok());
        if let (Some(kib), Ok(number)) = (kib, number_in(&entry.path().join("nr_hugepages"))) {
            found.push((kib, number));
        }
    }
    found.sort_unstable();
    found
}

async fn free_pages(_: Arc<Client>, call: NodeGetFreePages) -> Result<NodeGetFreePagesAnswer, RpcError> {
    const WHOLE: i32 = -1;
    only(call.flags, 0, "virNodeGetFreePages")?;
    if call.start_cell != WHOLE {
        require_cell(call.start_cell)?;
    }
    let free = |kib: &u32| {
        if *kib == own_page() {
            return Ok(memory("MemFree")? / u64::from(own_page()));
        }
        number_in(&pool(*kib)?.join("free_hugepages"))
    };
    let counts = call.pages.0.iter().map(free).collect::<Result<_, RpcError>>()?;
    Ok(NodeGetFreePagesAnswer { counts: List(counts) })
}

async fn allocate(_: Arc<Client>, call: NodeAllocPages) -> Result<NodeAllocPagesAnswer, RpcError> {
    const SET: u32 = 1;
    only(call.flags, SET, "virNodeAllocPages")?;
    require_cell(call.start_cell.max(0))?;
    let mut changed = 0;
    for (kib, wanted) in call.page_sizes.0.iter().zip(&call.page_counts.0) {
        if *kib == own_page() {
            let detail = "system pages pool can't be modified";
            return Err(RpcError::new(codes::ERR_OPERATION_UNSUPPORTED, codes::FROM_NONE, detail));
        }
        let file = pool(*kib)?.join("nr_hugepages");
        let before = number_in(&file)?;
        let wanted = if call.flags & SET == 0 { before.saturating_add(*wanted) } else { *wanted };
        fs::write(&file, wanted.to_string()).map_err(|error| system(&file, &error))?;
        if number_in(&file)? == before && wanted != before {
            let detail = format!("Unable to allocate {wanted} pages. Allocated only {before}");
            return Err(RpcError::new(codes::ERR_OPERATION_FAILED, codes::FROM_NONE, detail));
        }
        changed += 1;
    }
    Ok(NodeAllocPagesAnswer { ret: changed })
}

/// What the kernel does about memory that guests have in common.
async fn sharing(
    _: Arc<Client>,
    call: NodeGetMemoryParameters,
) -> Result<NodeGetMemoryParametersAnswer, RpcError> {
    const SMALL: [(&str, &str); 3] = [
        ("shm_pages_to_scan", "pages_to_scan"),
        ("shm_sleep_millisecs", "sleep_millisecs"),
        ("shm_merge_across_nodes", "merge_across_nodes"),
    ];
    const LARGE: [(&str, &str); 5] = [
        ("shm_pages_shared", "pages_shared"),
        ("shm_pages_sharing", "pages_sharing"),
        ("shm_pages_unshared", "pages_unshared"),
        ("shm_pages_volatile", "pages_volatile"),
        ("shm_full_scans", "full_scans"),
    ];
    only(call.flags & !STRING_OKAY, 0, "virNodeGetMemoryParameters")?;
    let number = |file: &str| number_in(&Path::new(SHARING).join(file)).ok();
    let small = SMALL.iter().filter_map(|(name, file)| {
        Some(TypedParam::new(*name, TypedValue::UInt(u32::try_from(number(file)?).ok()?)))
    });
    let large = LARGE
        .iter()
        .filter_map(|(name, file)| Some(TypedParam::new(*name, TypedValue::ULong(number(file)?))));
    let params: Vec<_> = small.chain(large).collect();
    let nparams = count(params.len());
    Ok(NodeGetMemoryParametersAnswer {
        params: List(if call.nparams == 0 { Vec::new() } else { params }),
        nparams,
    })
}

async fn encryption(_: Arc<Client>, call: NodeGetSevInfo) -> Result<NodeGetSevInfoAnswer, RpcError> {
    only(call.flags & !STRING_OKAY, 0, "virNodeGetSEVInfo")?;
    let detail = "QEMU does not support SEV guest";
    Err(RpcError::new(codes::ERR_OPERATION_UNSUPPORTED, codes::FROM_QEMU, detail))
}

async fn sysinfo(_: Arc<Client>, call: ConnectGetSysinfo) -> Result<ConnectGetSysinfoAnswer, RpcError> {
    const PARTS: [(&str, &[(&str, &str)]); 3] = [
        (
            "bios",
            &[
                ("vendor", "bios_vendor"),
                ("version", "bios_version"),
                ("date", "bios_date"),
                ("release", "bios_release"),
            ],
        ),
        (
            "system",
            &[
                ("manufacturer", "sys_vendor"),
                ("product", "product_name"),
                ("version", "product_version"),
                ("serial", "product_serial"),
                ("uuid", "product_uuid"),
                ("sku", "product_sku"),
                ("family", "product_family"),
            ],
        ),
        (
            "baseBoard",
            &[
                ("manufacturer", "board_vendor"),
                ("product", "board_name"),
                ("version", "board_version"),
                ("serial", "board_serial"),
                ("asset", "board_asset_tag"),
            ],
        ),
    ];
    only(call.flags, 0, "virConnectGetSysinfo")?;
    let told = |file: &str| {
        let text = fs::read_to_string(Path::new(FIRMWARE).join(file)).ok()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    };
    let part = |(element, entries): &(&str, &[(&str, &str)])| {
        let entries: String = entries
            .iter()
            .filter_map(|(name, file)| {
                Some(format!("    <entry name='{name}'>{}</entry>\n", escaped(&told(file)?)))
            })
            .collect();
        (!entries.is_empty()).then(|| format!("  <{element}>\n{entries}  </{element}>\n"))
    };
    let parts: String = PARTS.iter().filter_map(part).collect();
    if parts.is_empty() {
        let detail = "Host SMBIOS information is not available";
        return Err(RpcError::new(codes::ERR_CONFIG_UNSUPPORTED, codes::FROM_QEMU, detail));
    }
    Ok(ConnectGetSysinfoAnswer { sysinfo: format!("<sysinfo type='smbios'>\n{parts}</sysinfo>\n") })
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_cell_and_no_pool_of_odd_pages() {
        assert!(require_cell(0).is_ok());
        assert_eq!(require_cell(1).unwrap_err().code, codes::ERR_INTERNAL_ERROR);
        assert_eq!(pool(7).unwrap_err().code, codes::ERR_OPERATION_FAILED);
        assert_eq!(escaped("a<b&c"), "a&lt;b&amp;c");
    }
}
