//! How fast guests are sent, and how long they may stand still: what clients set before they move one.

use std::sync::Arc;

use hostler_domains::MigrationPace;
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::wire::{
    DomainHandle, DomainMigrateGetMaxDowntime, DomainMigrateGetMaxDowntimeAnswer, DomainMigrateGetMaxSpeed,
    DomainMigrateGetMaxSpeedAnswer, DomainMigrateSetMaxDowntime, DomainMigrateSetMaxSpeed,
};

use super::only;
use crate::client::{Client, reference};
use crate::dispatch::{Incoming, Work, routes};
use crate::failure;

const MIB: u64 = 1 << 20;
/// What clients are told of a domain that is sent as fast as it goes, in MiB a second: the most that fits 63 bits of bytes.
const FASTEST: u64 = i64::MAX.cast_unsigned() / MIB;
/// How long a guest stands still at most where nobody has said, in milliseconds: QEMU's own default.
const DOWNTIME_MS: u64 = 300;
/// The longest that QEMU takes, in milliseconds.
const DOWNTIME_MAX_MS: u64 = 2_000_000;

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming;
        DomainMigrateGetMaxSpeed => speed,
        DomainMigrateSetMaxSpeed => set_speed,
        DomainMigrateGetMaxDowntime => downtime,
        DomainMigrateSetMaxDowntime => set_downtime,
    }
}

async fn speed(
    client: Arc<Client>,
    call: DomainMigrateGetMaxSpeed,
) -> Result<DomainMigrateGetMaxSpeedAnswer, RpcError> {
    only(call.flags, 0, "virDomainMigrateGetMaxSpeed")?;
    let domain = client.domain(&call.dom).await?;
    let pace = client.host().migration_pace(&reference(&domain));
    let speed = pace.map_err(|error| failure::of_domain(&error))?.bandwidth;
    Ok(DomainMigrateGetMaxSpeedAnswer { bandwidth: speed.map_or(FASTEST, |speed| speed / MIB) })
}

async fn set_speed(client: Arc<Client>, call: DomainMigrateSetMaxSpeed) -> Result<(), RpcError> {
    only(call.flags, 0, "virDomainMigrateSetMaxSpeed")?;
    let bandwidth = bytes(call.bandwidth)?;
    changed(&client, &call.dom, |pace| MigrationPace { bandwidth, ..pace }).await
}

async fn downtime(
    client: Arc<Client>,
    call: DomainMigrateGetMaxDowntime,
) -> Result<DomainMigrateGetMaxDowntimeAnswer, RpcError> {
    only(call.flags, 0, "virDomainMigrateGetMaxDowntime")?;
    let domain = super::counters::running(&client, &call.dom).await?;
    let pace = client.host().migration_pace(&reference(&domain));
    let downtime = pace.map_err(|error| failure::of_domain(&error))?.downtime_ms;
    Ok(DomainMigrateGetMaxDowntimeAnswer { downtime: downtime.unwrap_or(DOWNTIME_MS) })
}

async fn set_downtime(client: Arc<Client>, call: DomainMigrateSetMaxDowntime) -> Result<(), RpcError> {
    only(call.flags, 0, "virDomainMigrateSetMaxDowntime")?;
    if !(1..=DOWNTIME_MAX_MS).contains(&call.downtime) {
        let detail = format!("downtime must be from 1 to {DOWNTIME_MAX_MS} ms");
        return Err(RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_QEMU, detail));
    }
    super::counters::running(&client, &call.dom).await?;
    changed(&client, &call.dom, |pace| MigrationPace { downtime_ms: Some(call.downtime), ..pace }).await
}

async fn changed(
    client: &Client,
    dom: &DomainHandle,
    change: impl FnOnce(MigrationPace) -> MigrationPace,
) -> Result<(), RpcError> {
    let (domain, _job) = client.change(dom).await?;
    let (host, wanted) = (client.host(), reference(&domain));
    let set = host.migration_pace(&wanted).and_then(|pace| host.set_migration_pace(&wanted, change(pace)));
    set.map_err(|error| failure::of_domain(&error))
}

/// Bytes a second; nothing for as fast as it goes, which clients write as the largest number or as none.
pub(super) fn bytes(mebibytes: u64) -> Result<Option<u64>, RpcError> {
    match mebibytes {
        0 | FASTEST => Ok(None),
        1..FASTEST => Ok(Some(mebibytes * MIB)),
        _ => {
            let detail = format!("bandwidth must be less than {}", FASTEST + 1);
            Err(RpcError::new(codes::ERR_OVERFLOW, codes::FROM_QEMU, detail))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_mebibytes_and_the_fastest_is_none() {
        assert_eq!(bytes(3).unwrap(), Some(3 << 20));
        assert_eq!(bytes(FASTEST).unwrap(), None);
        assert_eq!(bytes(0).unwrap(), None);
        assert_eq!(bytes(FASTEST + 1).unwrap_err().code, codes::ERR_OVERFLOW);
    }
}
