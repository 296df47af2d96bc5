//! What guests may use of their host, by libvirt's names: shares and times of processors, memory, block devices, nodes.

use std::sync::Arc;

use hostler_domain::numatune::NumaMode;
use hostler_domain::{Bytes, CpuUser, DeviceLimit, Domain, Limit, MemoryLimit, number_set};
use hostler_domains::Which;
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::typed::{STRING_OKAY, TypedValue};
use hostler_rpc::wire::{
    DomainGetBlkioParameters, DomainGetBlkioParametersAnswer, DomainGetMemoryParameters,
    DomainGetMemoryParametersAnswer, DomainGetNumaParameters, DomainGetNumaParametersAnswer,
    DomainGetSchedulerParameters, DomainGetSchedulerParametersAnswer, DomainGetSchedulerParametersFlags,
    DomainGetSchedulerParametersFlagsAnswer, DomainGetSchedulerType, DomainGetSchedulerTypeAnswer,
    DomainHandle, DomainSetBlkioParameters, DomainSetMemoryParameters, DomainSetNumaParameters,
    DomainSetSchedulerParameters, DomainSetSchedulerParametersFlags, TypedParam,
};

use super::sizing::{document, scope};
use super::tuning::{PLACES, filled};
use super::{count, only};
use crate::client::{Client, reference};
use crate::dispatch::{Incoming, Work, routes};
use crate::failure;

/// What stands for no limit of memory, in KiB.
const UNLIMITED: u64 = 9_007_199_254_740_991;
const SHARES: std::ops::RangeInclusive<u64> = 2..=262_144;
/// In microseconds.
const PERIODS: std::ops::RangeInclusive<i64> = 1_000..=1_000_000;
const QUOTAS: std::ops::RangeInclusive<i64> = 1_000..=17_592_186_044_415;
const NO_CPU: &str = "cgroup CPU controller is not mounted";
const NO_MEMORY: &str = "cgroup memory controller is not mounted";
const NO_BLOCK: &str = "blkio cgroup isn't mounted";

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming;
        DomainGetSchedulerType => async |client, call: DomainGetSchedulerType| {
            client.domain(&call.dom).await?;
            Ok(DomainGetSchedulerTypeAnswer { r#type: "posix".to_owned(), nparams: 1 + 2 * count::<i32>(CpuUser::ALL.len()) })
        },
        DomainGetSchedulerParameters => async |client, call: DomainGetSchedulerParameters| {
            let params = scheduler(&client, &call.dom, 0).await?;
            Ok(DomainGetSchedulerParametersAnswer { params: filled(params, call.nparams).0 })
        },
        DomainGetSchedulerParametersFlags => async |client, call: DomainGetSchedulerParametersFlags| {
            only(call.flags & !STRING_OKAY, PLACES, "virDomainGetSchedulerParametersFlags")?;
            let params = scheduler(&client, &call.dom, call.flags).await?;
            Ok(DomainGetSchedulerParametersFlagsAnswer { params: filled(params, call.nparams).0 })
        },
        DomainSetSchedulerParameters => async |client, call: DomainSetSchedulerParameters| {
            set_scheduler(&client, &call.dom, call.params.0, 0).await
        },
        DomainSetSchedulerParametersFlags => async |client, call: DomainSetSchedulerParametersFlags| {
            only(call.flags & !STRING_OKAY, PLACES, "virDomainSetSchedulerParametersFlags")?;
            set_scheduler(&client, &call.dom, call.params.0, call.flags).await
        },
        DomainGetMemoryParameters => memory,
        DomainSetMemoryParameters => set_memory,
        DomainGetBlkioParameters => blocks,
        DomainSetBlkioParameters => set_blocks,
        DomainGetNumaParameters => nodes,
        DomainSetNumaParameters => set_nodes,
    }
}

fn wrong(detail: impl AsRef<str>) -> RpcError {
    RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_QEMU, detail)
}

fn refused(detail: impl AsRef<str>) -> RpcError {
    RpcError::new(codes::ERR_OPERATION_INVALID, codes::FROM_QEMU, detail)
}

/// A name that is none of the family's, or a value of another kind.
fn not_supported(param: &TypedParam) -> RpcError {
    let detail = format!("parameter '{}' not supported", param.field);
    RpcError::new(codes::ERR_ARGUMENT_UNSUPPORTED, codes::FROM_NONE, detail)
}

fn require_once(params: &[TypedParam]) -> Result<(), RpcError> {
    let twice = params
        .iter()
        .enumerate()
        .find(|(at, param)| params.iter().take(*at).any(|before| before.field == param.field));
    twice
        .map_or(Ok(()), |(_, param)| Err(wrong(format!("parameter '{}' occurs multiple times", param.field))))
}

/// The limits of a guest that runs, or of a definition; `lacking` is what libvirt says where there is no group.
async fn limits(
    client: &Client,
    dom: &DomainHandle,
    flags: u32,
    lacking: &str,
) -> Result<Vec<Limit>, RpcError> {
    let domain = client.domain(dom).await?;
    let which = scope(flags & PLACES, &domain)?.which();
    let limits = client.host().limits(&reference(&domain), which).await;
    limits.map_err(|error| of_group(&error, lacking))
}

async fn set(
    client: &Client,
    dom: &DomainHandle,
    (limits, flags): (&[Limit], u32),
    lacking: &str,
) -> Result<(), RpcError> {
    let (domain, _job) = client.change(dom).await?;
    let scope = scope(flags & PLACES, &domain)?;
    let set = client.host().set_limits(&reference(&domain), limits, scope).await;
    set.map(drop).map_err(|error| of_group(&error, lacking))
}

fn of_group(error: &hostler_domains::Error, lacking: &str) -> RpcError {
    match error.code() {
        "limit.no-group" | "limit.unavailable" => refused(format!("{lacking}: {error}")),
        _ => failure::of_domain(error),
    }
}

fn names(user: CpuUser) -> (&'static str, &'static str) {
    match user {
        CpuUser::Guest => ("global_period", "global_quota"),
        CpuUser::Vcpu => ("vcpu_period", "vcpu_quota"),
        CpuUser::Emulator => ("emulator_period", "emulator_quota"),
        CpuUser::IoThread => ("iothread_period", "iothread_quota"),
    }
}

async fn scheduler(client: &Client, dom: &DomainHandle, flags: u32) -> Result<Vec<TypedParam>, RpcError> {
    let limits = limits(client, dom, flags, NO_CPU).await?;
    // What a definition does not say is 0.
    let shares = limits.iter().find_map(|limit| match limit {
        Limit::CpuShares(shares) => Some(*shares),
        _ => None,
    });
    let mut params = vec![TypedParam::new("cpu_shares", TypedValue::ULong(shares.unwrap_or(0)))];
    for user in [CpuUser::Vcpu, CpuUser::Emulator, CpuUser::Guest, CpuUser::IoThread] {
        let (mut own_period, mut own_quota) = (0, 0);
        for limit in &limits {
            match limit {
                Limit::CpuPeriod(of, period) if *of == user => own_period = *period,
                Limit::CpuQuota(of, quota) if *of == user => {
                    own_quota = quota.map_or(-1, |quota| i64::try_from(quota).unwrap_or(i64::MAX));
                }
                _ => {}
            }
        }
        let (period, quota) = names(user);
        params.push(TypedParam::new(period, TypedValue::ULong(own_period)));
        params.push(TypedParam::new(quota, TypedValue::Long(own_quota)));
    }
    Ok(params)
}

async fn set_scheduler(
    client: &Client,
    dom: &DomainHandle,
    params: Vec<TypedParam>,
    flags: u32,
) -> Result<(), RpcError> {
    require_once(&params)?;
    let limits: Result<Vec<_>, _> = params.iter().map(cpu_limit).collect();
    let limits: Vec<_> = limits?.into_iter().flatten().collect();
    set(client, dom, (&limits, flags), NO_CPU).await
}

/// A time of 0 changes nothing.
fn cpu_limit(param: &TypedParam) -> Result<Option<Limit>, RpcError> {
    let out_of_range = |range: &std::ops::RangeInclusive<i64>| {
        let (least, most) = (range.start(), range.end());
        wrong(format!("value of '{}' is out of range [{least}, {most}]", param.field))
    };
    if let ("cpu_shares", TypedValue::ULong(shares)) = (param.field.as_str(), &param.value) {
        if !SHARES.contains(shares) {
            let (least, most) = (SHARES.start(), SHARES.end());
            return Err(wrong(format!("shares '{shares}' must be in range [{least}, {most}]")));
        }
        return Ok(Some(Limit::CpuShares(*shares)));
    }
    for user in CpuUser::ALL {
        let (period, quota) = names(user);
        match &param.value {
            TypedValue::ULong(0) if param.field == period => return Ok(None),
            TypedValue::Long(0) if param.field == quota => return Ok(None),
            TypedValue::ULong(value) if param.field == period => {
                let fits = i64::try_from(*value).is_ok_and(|value| PERIODS.contains(&value));
                return if fits {
                    Ok(Some(Limit::CpuPeriod(user, *value)))
                } else {
                    Err(out_of_range(&PERIODS))
                };
            }
            TypedValue::Long(value) if param.field == quota => {
                let quota = u64::try_from(*value).ok();
                let fits = quota.is_none() || QUOTAS.contains(value);
                return if fits {
                    Ok(Some(Limit::CpuQuota(user, quota)))
                } else {
                    Err(out_of_range(&QUOTAS))
                };
            }
            _ => {}
        }
    }
    Err(not_supported(param))
}

fn size_of(limits: &[Limit], wanted: MemoryLimit) -> Option<Bytes> {
    limits.iter().find_map(|limit| match limit {
        Limit::Memory(kind, size) if *kind == wanted => *size,
        _ => None,
    })
}

async fn memory(
    client: Arc<Client>,
    call: DomainGetMemoryParameters,
) -> Result<DomainGetMemoryParametersAnswer, RpcError> {
    only(call.flags & !STRING_OKAY, PLACES, "virDomainGetMemoryParameters")?;
    let limits = limits(&client, &call.dom, call.flags, NO_MEMORY).await?;
    let param = |kind: MemoryLimit| {
        let size = size_of(&limits, kind).map_or(UNLIMITED, |size| size.0 >> 10);
        TypedParam::new(kind.name(), TypedValue::ULong(size))
    };
    let (params, nparams) = filled(MemoryLimit::ALL.map(param).to_vec(), call.nparams);
    Ok(DomainGetMemoryParametersAnswer { params, nparams })
}

async fn set_memory(client: Arc<Client>, call: DomainSetMemoryParameters) -> Result<(), RpcError> {
    only(call.flags & !STRING_OKAY, PLACES, "virDomainSetMemoryParameters")?;
    let params = call.params.0;
    require_once(&params)?;
    let limit = |param: &TypedParam| {
        let kind = MemoryLimit::ALL.into_iter().find(|kind| kind.name() == param.field);
        match (kind, &param.value) {
            (Some(kind), TypedValue::ULong(kib)) => {
                let size = (*kib < UNLIMITED).then(|| Bytes(kib.saturating_mul(1 << 10)));
                Ok(Limit::Memory(kind, size))
            }
            _ => Err(not_supported(param)),
        }
    };
    let wanted: Vec<Limit> = params.iter().map(limit).collect::<Result<_, _>>()?;
    let before = limits(&client, &call.dom, call.flags, NO_MEMORY).await?;
    let then = |kind: MemoryLimit| {
        let named = wanted.iter().any(|limit| limit.is_same_as(&Limit::Memory(kind, None)));
        size_of(if named { &wanted } else { &before }, kind).map_or(u64::MAX, |size| size.0)
    };
    if then(MemoryLimit::Hard) > then(MemoryLimit::HardWithSwap) {
        let detail = "memory hard_limit tunable value must be lower than or equal to swap_hard_limit";
        return Err(wrong(detail));
    }
    set(&client, &call.dom, (&wanted, call.flags), NO_MEMORY).await
}

/// libvirt's name for a limit of devices, which is a list of paths and values.
fn list_name(kind: DeviceLimit) -> String {
    format!("device_{}", kind.name())
}

async fn blocks(
    client: Arc<Client>,
    call: DomainGetBlkioParameters,
) -> Result<DomainGetBlkioParametersAnswer, RpcError> {
    only(call.flags & !STRING_OKAY, PLACES, "virDomainGetBlkioParameters")?;
    let limits = limits(&client, &call.dom, call.flags, NO_BLOCK).await?;
    let weight = limits.iter().find_map(|limit| match limit {
        Limit::BlockWeight(weight) => Some(*weight),
        _ => None,
    });
    let mut params = vec![TypedParam::new("weight", TypedValue::UInt(weight.unwrap_or(0)))];
    if call.flags & STRING_OKAY != 0 {
        params.extend(DeviceLimit::ALL.map(|wanted| {
            let listed = limits.iter().filter_map(|limit| match limit {
                Limit::BlockDevice(kind, path, value) if *kind == wanted => Some(format!("{path},{value}")),
                _ => None,
            });
            TypedParam::new(list_name(wanted), TypedValue::Text(listed.collect::<Vec<_>>().join(",")))
        }));
    }
    let (params, nparams) = filled(params, call.nparams);
    Ok(DomainGetBlkioParametersAnswer { params, nparams })
}

async fn set_blocks(client: Arc<Client>, call: DomainSetBlkioParameters) -> Result<(), RpcError> {
    only(call.flags & !STRING_OKAY, PLACES, "virDomainSetBlkioParameters")?;
    require_once(&call.params.0)?;
    let mut wanted = Vec::new();
    for param in &call.params.0 {
        let kind = DeviceLimit::ALL.into_iter().find(|kind| list_name(*kind) == param.field);
        match (kind, &param.value) {
            (None, TypedValue::UInt(weight)) if param.field == "weight" => {
                wanted.push(Limit::BlockWeight(*weight));
            }
            (Some(kind), TypedValue::Text(list)) => wanted.extend(devices(kind, list)?),
            _ => return Err(not_supported(param)),
        }
    }
    set(&client, &call.dom, (&wanted, call.flags), NO_BLOCK).await
}

/// `PATH,VALUE,PATH,VALUE`.
fn devices(kind: DeviceLimit, list: &str) -> Result<Vec<Limit>, RpcError> {
    let unread = || wrong(format!("unable to parse blkio device '{}' '{list}'", list_name(kind)));
    let parts: Vec<_> = list.split(',').filter(|part| !part.is_empty()).collect();
    let limit = |pair: &[&str]| match pair {
        [path, value] => {
            Ok(Limit::BlockDevice(kind, (*path).to_owned(), value.parse().map_err(|_| unread())?))
        }
        _ => Err(unread()),
    };
    parts.chunks(2).map(limit).collect()
}

/// The number that stands for a mode in libvirt's interface.
fn number_of(mode: NumaMode) -> i32 {
    match mode {
        NumaMode::Strict => 0,
        NumaMode::Preferred => 1,
        NumaMode::Interleave => 2,
        NumaMode::Restrictive => 3,
    }
}

fn mode_of(document: &Domain) -> NumaMode {
    document.numatune.memory.as_ref().map_or(NumaMode::Strict, |memory| memory.mode)
}

async fn nodes(
    client: Arc<Client>,
    call: DomainGetNumaParameters,
) -> Result<DomainGetNumaParametersAnswer, RpcError> {
    only(call.flags & !STRING_OKAY, PLACES, "virDomainGetNumaParameters")?;
    let domain = client.domain(&call.dom).await?;
    let which = scope(call.flags & PLACES, &domain)?.which();
    let document = document(&client, &domain, which).await?;
    let mut params = vec![TypedParam::new("numa_mode", TypedValue::Int(number_of(mode_of(&document))))];
    if call.flags & STRING_OKAY != 0 {
        let nodes = document.numatune.memory.and_then(|memory| memory.nodeset).unwrap_or_default();
        params.push(TypedParam::new("numa_nodeset", TypedValue::Text(nodes)));
    }
    let (params, nparams) = filled(params, call.nparams);
    Ok(DomainGetNumaParametersAnswer { params, nparams })
}

async fn set_nodes(client: Arc<Client>, call: DomainSetNumaParameters) -> Result<(), RpcError> {
    only(call.flags & !STRING_OKAY, PLACES, "virDomainSetNumaParameters")?;
    require_once(&call.params.0)?;
    let (mut mode, mut set_of_nodes) = (None, None);
    for param in &call.params.0 {
        match (param.field.as_str(), &param.value) {
            ("numa_mode", TypedValue::Int(number)) => {
                let all =
                    [NumaMode::Strict, NumaMode::Preferred, NumaMode::Interleave, NumaMode::Restrictive];
                let found = all.into_iter().find(|mode| number_of(*mode) == *number);
                mode = Some(found.ok_or_else(|| wrong(format!("unsupported numatune mode: '{number}'")))?);
            }
            ("numa_nodeset", TypedValue::Text(nodes)) => {
                if number_set(nodes).is_none_or(|set| set.is_empty()) {
                    return Err(wrong(format!("Invalid nodeset of 'numatune': {nodes}")));
                }
                set_of_nodes = Some(nodes.clone());
            }
            _ => return Err(not_supported(param)),
        }
    }
    let (domain, _job) = client.change(&call.dom).await?;
    let scope = scope(call.flags & PLACES, &domain)?;
    if scope.config && mode.is_some() && set_of_nodes.is_none() {
        let stored = document(&client, &domain, Which::Stored).await?;
        if stored.numatune.memory.is_none() {
            return Err(wrong("a numatune mode needs a nodeset, and the definition has none: give both"));
        }
    }
    if scope.live {
        let running = mode_of(&document(&client, &domain, Which::Current).await?);
        if mode.is_some_and(|mode| mode != running) {
            return Err(refused("can't change numatune mode for running domain"));
        }
        if running != NumaMode::Restrictive && set_of_nodes.is_some() {
            let detail = "change of nodeset for running domain requires restrictive numa mode";
            return Err(refused(detail));
        }
    }
    let set = client.host().set_nodes(&reference(&domain), mode, set_of_nodes, scope).await;
    set.map_err(|error| of_group(&error, "cgroup cpuset controller is not mounted"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu(field: &str, value: TypedValue) -> Result<Option<Limit>, String> {
        cpu_limit(&TypedParam::new(field, value)).map_err(|error| error.message)
    }

    #[test]
    fn times_of_processors_are_read_by_their_names() {
        let quota = |user, quota| Ok(Some(Limit::CpuQuota(user, quota)));
        assert_eq!(cpu("cpu_shares", TypedValue::ULong(2)), Ok(Some(Limit::CpuShares(2))));
        assert_eq!(cpu("vcpu_quota", TypedValue::Long(1_000)), quota(CpuUser::Vcpu, Some(1_000)));
        assert_eq!(cpu("global_quota", TypedValue::Long(-3)), quota(CpuUser::Guest, None));
        assert_eq!(cpu("emulator_period", TypedValue::ULong(0)), Ok(None));
        for (field, value, words) in [
            ("cpu_shares", TypedValue::ULong(1), "must be in range [2, 262144]"),
            ("iothread_quota", TypedValue::Long(5), "out of range [1000, 17592186044415]"),
            ("vcpu_period", TypedValue::ULong(u64::MAX), "out of range [1000, 1000000]"),
            ("vcpu_period", TypedValue::Long(5_000), "not supported"),
            ("nice", TypedValue::Long(5_000), "not supported"),
        ] {
            let message = cpu(field, value).unwrap_err();
            assert!(message.contains(words), "{message}");
        }
    }

    #[test]
    fn lists_of_devices_are_pairs() {
        let limit = |path: &str, value| Limit::BlockDevice(DeviceLimit::ReadBytes, path.to_owned(), value);
        let both = devices(DeviceLimit::ReadBytes, "/dev/a,1,/dev/b,2").unwrap();
        assert_eq!(both, [limit("/dev/a", 1), limit("/dev/b", 2)]);
        assert_eq!(devices(DeviceLimit::ReadBytes, "").unwrap(), []);
        for wrong in ["/dev/a", "/dev/a,x", "/dev/a,1,/dev/b", "/dev/a,-1"] {
            assert!(devices(DeviceLimit::ReadBytes, wrong).is_err(), "{wrong}");
        }
        assert_eq!(list_name(DeviceLimit::WriteRequests), "device_write_iops_sec");
    }

    #[test]
    fn one_name_is_said_once() {
        let param = |field: &str| TypedParam::new(field, TypedValue::UInt(1));
        assert!(require_once(&[param("a"), param("b")]).is_ok());
        assert!(require_once(&[param("a"), param("b"), param("a")]).is_err());
    }
}
