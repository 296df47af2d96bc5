//! Long work on a whole guest: how far it is, and how it is given up.

use std::sync::Arc;
use std::time::Duration;

use hostler_domains::DomainIdentity;
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::typed::{STRING_OKAY, TypedValue};
use hostler_rpc::wire::{
    DomainAbortJob, DomainGetJobInfo, DomainGetJobInfoAnswer, DomainGetJobStats, DomainGetJobStatsAnswer,
    TypedParam,
};
use hostler_rpc::xdr::List;
use serde_json::Value;

use super::only;
use crate::client::{Client, reference};
use crate::dispatch::{Incoming, Work, routes};
use crate::failure;

/// Kinds of jobs: none, and one whose end nobody knows.
const NONE: i32 = 0;
const UNBOUNDED: i32 = 2;

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming;
        DomainGetJobInfo => info,
        DomainGetJobStats => stats,
        DomainAbortJob => abort,
    }
}

/// What a hypervisor says of a guest that it writes out, in bytes and milliseconds.
#[derive(Debug, Default, PartialEq, Eq)]
struct Transfer {
    elapsed_ms: u64,
    total: u64,
    done: u64,
    left: u64,
}

impl Transfer {
    /// The one that goes on, if one does.
    fn read(told: &Value) -> Option<Self> {
        let status = told.get("status").and_then(Value::as_str)?;
        if matches!(status, "none" | "completed" | "failed" | "cancelled") {
            return None;
        }
        let number = |pointer: &str| told.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
        Some(Self {
            elapsed_ms: number("/total-time"),
            total: number("/ram/total"),
            done: number("/ram/transferred"),
            left: number("/ram/remaining"),
        })
    }

    async fn of(client: &Client, domain: &DomainIdentity) -> Result<Option<Self>, RpcError> {
        // Whoever has no turn does no work.
        if client.server.jobs.begin_within(domain.uuid, Duration::ZERO).await.is_some() {
            return Ok(None);
        }
        let told = client.host().ask_hypervisor(&reference(domain), "query-migrate", "").await;
        let told = told.map_err(|error| failure::of_domain(&error))?;
        Ok(serde_json::from_str(&told).ok().as_ref().and_then(Self::read))
    }
}

async fn info(client: Arc<Client>, call: DomainGetJobInfo) -> Result<DomainGetJobInfoAnswer, RpcError> {
    let domain = super::counters::running(&client, &call.dom).await?;
    let found = Transfer::of(&client, &domain).await?;
    let r#type = if found.is_some() { UNBOUNDED } else { NONE };
    let Transfer { elapsed_ms, total, done, left } = found.unwrap_or_default();
    Ok(DomainGetJobInfoAnswer {
        r#type,
        time_elapsed: elapsed_ms,
        time_remaining: 0,
        data_total: total,
        data_processed: done,
        data_remaining: left,
        mem_total: total,
        mem_processed: done,
        mem_remaining: left,
        file_total: 0,
        file_processed: 0,
        file_remaining: 0,
    })
}

async fn stats(client: Arc<Client>, call: DomainGetJobStats) -> Result<DomainGetJobStatsAnswer, RpcError> {
    const COMPLETED: u32 = 1;
    const KEEP: u32 = 2;
    only(call.flags & !STRING_OKAY, COMPLETED | KEEP, "virDomainGetJobStats")?;
    let nothing = || DomainGetJobStatsAnswer { r#type: NONE, params: List(Vec::new()) };
    if call.flags & COMPLETED != 0 {
        // Of work that is over the event log tells, and nobody else.
        client.domain(&call.dom).await?;
        return Ok(nothing());
    }
    let domain = super::counters::running(&client, &call.dom).await?;
    let Some(found) = Transfer::of(&client, &domain).await? else { return Ok(nothing()) };
    let numbers = [
        ("time_elapsed", found.elapsed_ms),
        ("data_total", found.total),
        ("data_processed", found.done),
        ("data_remaining", found.left),
        ("memory_total", found.total),
        ("memory_processed", found.done),
        ("memory_remaining", found.left),
    ];
    let params = numbers.map(|(name, number)| TypedParam::new(name, TypedValue::ULong(number)));
    Ok(DomainGetJobStatsAnswer { r#type: UNBOUNDED, params: List(params.to_vec()) })
}

async fn abort(client: Arc<Client>, call: DomainAbortJob) -> Result<(), RpcError> {
    let domain = super::counters::running(&client, &call.dom).await?;
    // A guest that is being sent is taken back by whoever sends it.
    if client.server.departures.give_up(domain.uuid) {
        return Ok(());
    }
    if Transfer::of(&client, &domain).await?.is_none() {
        let detail = "no job is active on the domain";
        return Err(RpcError::new(codes::ERR_OPERATION_INVALID, codes::FROM_QEMU, detail));
    }
    // Out of turn: whoever has it is what this is about.
    let abandoned = client.host().abandon_transfer(&reference(&domain)).await;
    abandoned.map_err(|error| failure::of_domain(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_goes_on_is_a_job() {
        assert_eq!(Transfer::read(&json!({})), None);
        assert_eq!(Transfer::read(&json!({"status": "completed", "ram": {"total": 5}})), None);
        let told = json!({"status": "active", "total-time": 7, "ram": {"total": 5, "transferred": 2, "remaining": 3}});
        assert_eq!(Transfer::read(&told), Some(Transfer { elapsed_ms: 7, total: 5, done: 2, left: 3 }));
    }
}
