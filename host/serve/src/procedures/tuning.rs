//! Limits of single devices of a guest, and what is counted of it.

use std::sync::Arc;

use hostler_domains::{Bandwidth, BandwidthChange, DiskLimit, Rate};
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::typed::{STRING_OKAY, TypedValue};
use hostler_rpc::wire::{
    DomainGetBlockIoTune, DomainGetBlockIoTuneAnswer, DomainGetInterfaceParameters,
    DomainGetInterfaceParametersAnswer, DomainGetLaunchSecurityInfo, DomainGetLaunchSecurityInfoAnswer,
    DomainGetPerfEvents, DomainGetPerfEventsAnswer, DomainSetBlockIoTune, DomainSetInterfaceParameters,
    DomainSetPerfEvents, TypedParam,
};
use hostler_rpc::xdr::List;

use super::sizing::{document, scope};
use super::{count, only};
use crate::client::{Client, reference};
use crate::dispatch::{Incoming, Work, routes};
use crate::failure;

/// In what runs, in the definition.
pub(super) const PLACES: u32 = 3;
/// Events of processors that clients ask for.
const EVENTS: [&str; 21] = [
    "cmt",
    "mbmt",
    "mbml",
    "cpu_cycles",
    "instructions",
    "cache_references",
    "cache_misses",
    "branch_instructions",
    "branch_misses",
    "bus_cycles",
    "stalled_cycles_frontend",
    "stalled_cycles_backend",
    "ref_cpu_cycles",
    "cpu_clock",
    "task_clock",
    "page_faults",
    "context_switches",
    "cpu_migrations",
    "page_faults_min",
    "page_faults_maj",
    "alignment_faults",
];

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming;
        DomainGetInterfaceParameters => interface,
        DomainSetInterfaceParameters => set_interface,
        DomainGetBlockIoTune => disk_limits,
        DomainSetBlockIoTune => set_disk_limits,
        DomainGetPerfEvents => events,
        DomainSetPerfEvents => set_events,
        DomainGetLaunchSecurityInfo => launch_security,
    }
}

fn wrong(detail: impl AsRef<str>) -> RpcError {
    RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_QEMU, detail)
}

/// As many parameters as a client has room for, or how many there are.
pub(super) fn filled<const MAX: usize>(params: Vec<TypedParam>, room: i32) -> (List<TypedParam, MAX>, i32) {
    let nparams = count(params.len());
    (List(if room == 0 { Vec::new() } else { params }), nparams)
}

/// How much may go through an interface, each way by its name; kilobytes, as everywhere in this interface.
async fn interface(
    client: Arc<Client>,
    call: DomainGetInterfaceParameters,
) -> Result<DomainGetInterfaceParametersAnswer, RpcError> {
    only(call.flags & !STRING_OKAY, PLACES, "virDomainGetInterfaceParameters")?;
    let domain = client.domain(&call.dom).await?;
    let which = scope(call.flags & PLACES, &domain)?.which();
    let told = client.host().bandwidth(&reference(&domain), &call.device, which).await;
    let told = told.map_err(|error| of_interface(&error, &call.device))?;
    let ways = Bandwidth::WAYS.into_iter().zip([told.inbound, told.outbound]);
    let params = ways.flat_map(|(way, rate)| {
        let values = [
            ("average", rate.map(|rate| rate.average)),
            ("peak", rate.and_then(|rate| rate.peak)),
            ("burst", rate.and_then(|rate| rate.burst)),
            ("floor", None),
        ];
        // Nothing is promised to what a guest sends.
        let own = values.into_iter().filter(move |(name, _)| *name != "floor" || way == "inbound");
        own.map(move |(name, value)| {
            TypedParam::new(format!("{way}.{name}"), TypedValue::UInt(value.unwrap_or(0)))
        })
    });
    let (params, nparams) = filled(params.collect(), call.nparams);
    Ok(DomainGetInterfaceParametersAnswer { params, nparams })
}

fn of_interface(error: &hostler_domains::Error, named: &str) -> RpcError {
    match error.code() {
        "device.not-found" => wrong(format!("cannot find interface '{named}' in the domain config")),
        _ => failure::of_domain(error),
    }
}

async fn set_interface(client: Arc<Client>, call: DomainSetInterfaceParameters) -> Result<(), RpcError> {
    only(call.flags & !STRING_OKAY, PLACES, "virDomainSetInterfaceParameters")?;
    let change = bandwidth_change(&call.params.0)?;
    let (domain, _job) = client.change(&call.dom).await?;
    let scope = scope(call.flags & PLACES, &domain)?;
    let set = client.host().set_bandwidth(&reference(&domain), &call.device, change, scope).await;
    set.map(drop).map_err(|error| of_interface(&error, &call.device))
}

/// The new rates of both ways; an average of 0 is no limit.
fn bandwidth_change(params: &[TypedParam]) -> Result<BandwidthChange, RpcError> {
    let rate = |way: &str| {
        let (mut said, mut rate) = (false, Rate { average: 0, peak: None, burst: None });
        for param in params {
            let Some((own, name)) = param.field.split_once('.') else { continue };
            let TypedValue::UInt(value) = param.value else { continue };
            let some = Some(value).filter(|value| *value > 0);
            match name {
                _ if own != way => continue,
                "average" => rate.average = value,
                "peak" => rate.peak = some,
                "burst" => rate.burst = some,
                _ => continue,
            }
            said = true;
        }
        if said && rate.average == 0 && (rate.peak.is_some() || rate.burst.is_some()) {
            return Err(wrong(format!("{way} average is mandatory")));
        }
        Ok(said.then_some(Some(rate).filter(|rate| rate.average > 0)))
    };
    let known = |param: &&TypedParam| {
        let (way, name) = param.field.split_once('.').unwrap_or_default();
        let is_known = Bandwidth::WAYS.contains(&way) && ["average", "peak", "burst"].contains(&name);
        // No floor is one that is kept.
        let no_floor = param.field == "inbound.floor" && param.value == TypedValue::UInt(0);
        (is_known && matches!(param.value, TypedValue::UInt(_))) || no_floor
    };
    if let Some(param) = params.iter().find(|param| !known(param)) {
        let detail = format!("parameter '{}' not supported", param.field);
        return Err(RpcError::new(codes::ERR_ARGUMENT_UNSUPPORTED, codes::FROM_QEMU, detail));
    }
    Ok(BandwidthChange { inbound: rate("inbound")?, outbound: rate("outbound")? })
}

async fn disk_limits(
    client: Arc<Client>,
    call: DomainGetBlockIoTune,
) -> Result<DomainGetBlockIoTuneAnswer, RpcError> {
    only(call.flags & !STRING_OKAY, PLACES, "virDomainGetBlockIoTune")?;
    let domain = client.domain(&call.dom).await?;
    let scope = scope(call.flags & PLACES, &domain)?;
    let document = document(&client, &domain, scope.which()).await?;
    let Some(named) = call.disk else {
        let (params, nparams) = (List(Vec::new()), count(DiskLimit::names().len()));
        return Ok(DomainGetBlockIoTuneAnswer { params, nparams });
    };
    let text = document.document();
    let disk = document.devices.disks.iter().find(|disk| disk.target.as_str() == named);
    let disk = disk.ok_or_else(|| wrong(format!("disk '{named}' was not found in the domain config")))?;
    let tune = text.child(disk.node, "iotune");
    let limit = |name: &String| {
        let value =
            tune.and_then(|tune| text.child(tune, name)).and_then(|one| text.text(one).trim().parse().ok());
        TypedParam::new(name, TypedValue::ULong(value.unwrap_or(0)))
    };
    let (params, nparams) = filled(DiskLimit::names().iter().map(limit).collect(), call.nparams);
    Ok(DomainGetBlockIoTuneAnswer { params, nparams })
}

async fn set_disk_limits(client: Arc<Client>, call: DomainSetBlockIoTune) -> Result<(), RpcError> {
    only(call.flags & !STRING_OKAY, PLACES, "virDomainSetBlockIoTune")?;
    let mut limits = Vec::new();
    for param in call.params.0 {
        match param.value {
            TypedValue::ULong(value) => limits.push(DiskLimit { name: param.field, value }),
            _ => return Err(wrong(format!("'{}' cannot be set for a disk that is there", param.field))),
        }
    }
    let (domain, _job) = client.change(&call.dom).await?;
    let scope = scope(call.flags & PLACES, &domain)?;
    let set = client.host().limit_disk(&reference(&domain), &call.disk, &limits, scope).await;
    set.map(drop).map_err(|error| failure::of_domain(&error))
}

/// None of them is counted.
async fn events(
    client: Arc<Client>,
    call: DomainGetPerfEvents,
) -> Result<DomainGetPerfEventsAnswer, RpcError> {
    only(call.flags & !STRING_OKAY, PLACES, "virDomainGetPerfEvents")?;
    let domain = client.domain(&call.dom).await?;
    scope(call.flags & PLACES, &domain)?;
    let params = EVENTS.map(|name| TypedParam::new(name, TypedValue::Bool(false)));
    Ok(DomainGetPerfEventsAnswer { params: List(params.to_vec()) })
}

async fn set_events(client: Arc<Client>, call: DomainSetPerfEvents) -> Result<(), RpcError> {
    only(call.flags & !STRING_OKAY, PLACES, "virDomainSetPerfEvents")?;
    let domain = client.domain(&call.dom).await?;
    scope(call.flags & PLACES, &domain)?;
    match call.params.0.iter().find(|param| param.value != TypedValue::Bool(false)) {
        None => Ok(()),
        Some(param) => {
            let detail = format!("unable to enable host cpu perf event for {}", param.field);
            Err(RpcError::new(codes::ERR_ARGUMENT_UNSUPPORTED, codes::FROM_PERF, detail))
        }
    }
}

/// No guest here is one whose memory its host cannot read.
async fn launch_security(
    client: Arc<Client>,
    call: DomainGetLaunchSecurityInfo,
) -> Result<DomainGetLaunchSecurityInfoAnswer, RpcError> {
    only(call.flags & !STRING_OKAY, 0, "virDomainGetLaunchSecurityInfo")?;
    client.domain(&call.dom).await?;
    Ok(DomainGetLaunchSecurityInfoAnswer { params: List(Vec::new()) })
}
