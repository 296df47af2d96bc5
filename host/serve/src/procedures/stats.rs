//! What is counted of guests, many at once.

use std::sync::Arc;

use hostler_domains::{DomainIdentity, DomainStats, Error};
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::typed::TypedValue;
use hostler_rpc::wire::{
    ConnectGetAllDomainStats, ConnectGetAllDomainStatsAnswer, DomainStatsRecord, TypedParam,
};
use hostler_rpc::xdr::List;

use super::{info, lookup};
use crate::access::object::Object;
use crate::client::{Client, handle, reference};
use crate::dispatch::{Incoming, Work, routes};
use crate::failure;

/// Groups of counters by the bits that ask for them, and how their names begin.
const GROUPS: [(u32, &str); 8] = [
    (1, "state."),
    (2, "cpu."),
    (4, "balloon."),
    (8, "vcpu."),
    (16, "net."),
    (32, "block."),
    (128, "iothread."),
    (512, "dirtyrate."),
];
/// Counters that are for this host, and nothing to clients.
const OWN: [&str; 3] = [".thread", ".id", ".error"];
/// What the host calls the memory that a hypervisor has, and clients do.
const RESIDENT: (&str, &str) = ("memory.resident", "balloon.rss");
/// Flags that choose among domains are those of listing them; those above are of the counting.
const FILTERS: u32 = 0xff;
/// The flag by which a client wants what it asks for, or nothing.
const ENFORCE: u32 = 1 << 31;
/// Counters that are texts.
const TEXTS: [&str; 3] = [".name", ".path", ".backingIndex"];
/// Counters that are small numbers.
const SMALL: [&str; 5] = ["vcpu.current", "vcpu.maximum", "block.count", "net.count", "iothread.count"];
/// Counters that may be less than nothing, and those of them that are small.
const SIGNED: &str = "dirtyrate.";
const SMALL_SIGNED: [&str; 2] = ["dirtyrate.calc_status", "dirtyrate.calc_period"];

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming; ConnectGetAllDomainStats => stats, }
}

async fn stats(
    client: Arc<Client>,
    call: ConnectGetAllDomainStats,
) -> Result<ConnectGetAllDomainStatsAnswer, RpcError> {
    if call.flags & ENFORCE != 0 && call.stats & !GROUPS.iter().fold(0, |known, (bit, _)| known | bit) != 0 {
        let detail = format!("Stats types bits 0x{:x} are not supported by this daemon", call.stats);
        return Err(RpcError::new(codes::ERR_ARGUMENT_UNSUPPORTED, codes::FROM_QEMU, detail));
    }
    let wanted = if call.doms.0.is_empty() {
        lookup::filtered(&client, call.flags & FILTERS).await?
    } else {
        call.doms.0
    };
    let mut records = Vec::new();
    for dom in wanted {
        // One that has gone meanwhile is not counted.
        let Ok(domain) = client.domain(&dom).await else { continue };
        if !client.sees("domain.read", &Object::domain(&domain.name, domain.uuid, &domain.driver)) {
            continue;
        }
        records.push(DomainStatsRecord {
            dom: handle(&domain),
            params: List(counted(&client, &domain, call.stats).await?),
        });
    }
    Ok(ConnectGetAllDomainStatsAnswer { ret_stats: List(records) })
}

async fn counted(client: &Client, domain: &DomainIdentity, groups: u32) -> Result<Vec<TypedParam>, RpcError> {
    let has =
        |group: &str| groups == 0 || GROUPS.iter().any(|(bit, name)| *name == group && groups & bit != 0);
    let mut params = Vec::new();
    if has("state.") {
        let standing = client.host().standing(&reference(domain)).await;
        let standing = standing.map_err(|error| failure::of_domain(&error))?;
        let (state, reason) = info::state_of(standing.state, standing.reason.as_deref());
        params.push(TypedParam::new("state.state", TypedValue::Int(state)));
        params.push(TypedParam::new("state.reason", TypedValue::Int(reason)));
    }
    if GROUPS.iter().any(|(_, group)| *group != "state." && has(group)) {
        let known = counters(client, domain)
            .await
            .map_err(|error| failure::of_domain(&error))?
            .into_iter()
            .map(|(name, value)| (if name == RESIDENT.0 { RESIDENT.1.to_owned() } else { name }, value))
            .filter(|(name, _)| GROUPS.iter().any(|(_, group)| name.starts_with(group) && has(group)));
        params.extend(known.filter_map(|(name, value)| parameter(name, &value)));
    }
    Ok(params)
}

/// What is counted of a guest, and what is known of a domain without one.
async fn counters(client: &Client, domain: &DomainIdentity) -> Result<Vec<(String, String)>, Error> {
    let (host, named) = (client.host(), reference(domain));
    if domain.run_number.is_none() {
        return host.stats_when_off(&named).await;
    }
    let counted = host.stats(&[named]).await?;
    Ok(counted.into_iter().flat_map(|DomainStats { counters, .. }| counters).collect())
}

fn parameter(name: String, value: &str) -> Option<TypedParam> {
    if OWN.iter().any(|end| name.ends_with(end)) {
        return None;
    }
    let value = if SMALL_SIGNED.contains(&name.as_str()) {
        TypedValue::Int(value.parse().ok()?)
    } else if name.starts_with(SIGNED) {
        TypedValue::Long(value.parse().ok()?)
    } else if TEXTS.iter().any(|end| name.ends_with(end)) {
        TypedValue::Text(value.to_owned())
    } else if SMALL.contains(&name.as_str()) {
        TypedValue::UInt(value.parse().ok()?)
    } else if name.starts_with("vcpu.") && name.ends_with(".state") {
        TypedValue::Int(value.parse().ok()?)
    } else {
        TypedValue::ULong(value.parse().ok()?)
    };
    Some(TypedParam::new(name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_have_the_kinds_that_clients_expect() {
        let value = |name: &str, value: &str| parameter(name.to_owned(), value).map(|found| found.value);
        assert_eq!(value("block.0.name", "vda"), Some(TypedValue::Text("vda".to_owned())));
        assert_eq!(value("cpu.time", "7"), Some(TypedValue::ULong(7)));
        assert_eq!(value("vcpu.current", "2"), Some(TypedValue::UInt(2)));
        assert_eq!(value("vcpu.0.state", "1"), Some(TypedValue::Int(1)));
        assert_eq!(value("cpu.time", "many"), None);
        assert_eq!(value("dirtyrate.calc_status", "2"), Some(TypedValue::Int(2)));
        assert_eq!(value("dirtyrate.megabytes_per_second", "7"), Some(TypedValue::Long(7)));
        assert_eq!(value("vcpu.0.thread", "5"), None);
    }
}
