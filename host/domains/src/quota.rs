//! What a tenant may use: each quota with its unit, its default and the reason for it.

use std::collections::BTreeMap;

use hostler_runtime::limits;
use hostler_state::TenantRecord;
use serde::Serialize;

use crate::error::{Error, Kind};

/// Definitions, running or not. Each is a record that every listing reads: so many are listed in some milliseconds.
pub(crate) const DOMAINS: u64 = 64;
/// Domains that run at once. A host that makes sense for several tenants runs some dozens.
pub(crate) const RUNNING: u64 = 16;
/// Virtual processors of what runs: two for each domain.
pub(crate) const VCPUS: u64 = 32;
/// Guest memory of what runs, in bytes: 2 GiB for each domain.
pub(crate) const MEMORY_BYTES: u64 = 32 << 30;
/// What guests see of the volumes and images that were made through hostler, in bytes: 64 GiB for each running domain.
/// It is charged when it is made, for a guest can fill it at any time.
pub(crate) const DISK_BYTES: u64 = 1 << 40;
/// Processes that last: twice what [`RUNNING`] domains have, so that helpers have room.
pub(crate) const PROCESSES: u64 = 64;
/// Processes of one running domain: its shim and its hypervisor.
pub(crate) const PROCESSES_PER_RUN: u64 = 2;
/// Least processor time that drivers have in each second, in ms. With less a start would take minutes.
const DRIVER_CPU_LEAST_MS: u64 = 1;
/// Most of it, in ms: all the time there is on one processor.
const DRIVER_CPU_MOST_MS: u64 = 1_000;
/// Least memory of a driver's instance, in bytes: a component without any document has about 1 MiB.
const DRIVER_MEMORY_LEAST: u64 = 2 << 20;

/// Something of which a tenant may have so much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quota {
    /// Definitions.
    Domains,
    /// Domains that run.
    Running,
    /// Virtual processors of what runs.
    Vcpus,
    /// Guest memory of what runs.
    Memory,
    /// Virtual size of what was made.
    Disk,
    /// Processes that last.
    Processes,
    /// Processor time of drivers in each second.
    DriverCpu,
    /// Memory of one instance of a driver.
    DriverMemory,
}

/// What a quota is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum QuotaUnit {
    /// Pieces.
    Count,
    /// Bytes.
    Bytes,
    /// Milliseconds in each second.
    MsPerSecond,
}

impl Quota {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 8] = [
        Self::Domains,
        Self::Running,
        Self::Vcpus,
        Self::Memory,
        Self::Disk,
        Self::Processes,
        Self::DriverCpu,
        Self::DriverMemory,
    ];

    /// The name that it is set by.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Domains => "domains",
            Self::Running => "running",
            Self::Vcpus => "vcpus",
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Processes => "processes",
            Self::DriverCpu => "driver-cpu",
            Self::DriverMemory => "driver-memory",
        }
    }

    /// The quota of this name.
    ///
    /// # Errors
    /// [`Kind::Invalid`] with the names there are.
    pub fn from_key(key: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|quota| quota.key() == key);
        found.ok_or_else(|| {
            let message = format!("there is no limit '{}'", key.escape_debug());
            let error = Error::new(Kind::Invalid, "tenant.limit-unknown", message);
            match hostler_domain::nearest(key, Self::ALL.map(Self::key)) {
                Some(near) => error.hint(format!("did you mean '{near}'?")),
                None => error.hint(format!("limits are {}", Self::ALL.map(Self::key).join(", "))),
            }
        })
    }

    /// What it is counted in.
    #[must_use]
    pub fn unit(self) -> QuotaUnit {
        match self {
            Self::Domains | Self::Running | Self::Vcpus | Self::Processes => QuotaUnit::Count,
            Self::Memory | Self::Disk | Self::DriverMemory => QuotaUnit::Bytes,
            Self::DriverCpu => QuotaUnit::MsPerSecond,
        }
    }

    /// What a tenant may have of it when nothing is said.
    #[must_use]
    pub fn default_limit(self) -> u64 {
        match self {
            Self::Domains => DOMAINS,
            Self::Running => RUNNING,
            Self::Vcpus => VCPUS,
            Self::Memory => MEMORY_BYTES,
            Self::Disk => DISK_BYTES,
            Self::Processes => PROCESSES,
            Self::DriverCpu => u64::try_from(limits::CPU_PER_SECOND.as_millis()).unwrap_or(u64::MAX),
            Self::DriverMemory => driver_memory_most(),
        }
    }

    /// What is said of so much of it: `3 domains`, `2 GiB of guest memory`.
    #[must_use]
    pub fn amount(self, value: u64) -> String {
        let count = |one: &str| if value == 1 { format!("1 {one}") } else { format!("{value} {one}s") };
        match self {
            Self::Domains => count("domain"),
            Self::Running => count("running domain"),
            Self::Vcpus => count("virtual processor"),
            Self::Processes => {
                if value == 1 {
                    "1 process".to_owned()
                } else {
                    format!("{value} processes")
                }
            }
            Self::Memory => format!("{} of guest memory", hostler_domain::Bytes(value)),
            Self::Disk => format!("{} of disk", hostler_domain::Bytes(value)),
            Self::DriverCpu => format!("{value} ms of processor time for drivers in each second"),
            Self::DriverMemory => format!("{} of memory for a driver", hostler_domain::Bytes(value)),
        }
    }

    /// Refuses a limit that cannot be one; nothing stands for no limit.
    ///
    /// # Errors
    /// [`Kind::Invalid`] with the range.
    pub fn check(self, limit: Option<u64>) -> Result<(), Error> {
        let (least, most) = match self {
            Self::DriverCpu => (DRIVER_CPU_LEAST_MS, DRIVER_CPU_MOST_MS),
            Self::DriverMemory => (DRIVER_MEMORY_LEAST, driver_memory_most()),
            _ => return Ok(()),
        };
        if limit.is_some_and(|limit| (least..=most).contains(&limit)) {
            return Ok(());
        }
        let message = format!("the limit '{}' goes from {least} to {most}, and is never absent", self.key());
        Err(Error::new(Kind::Invalid, "tenant.limit-range", message)
            .about("quota", self.key())
            .hint("drivers share the processors and the memory of the host itself"))
    }
}

fn driver_memory_most() -> u64 {
    u64::try_from(limits::MEMORY_BYTES).unwrap_or(u64::MAX)
}

/// What a tenant may have of something; nothing when that has no limit.
pub(crate) fn limit_of(record: &TenantRecord, quota: Quota) -> Option<u64> {
    record.limits.get(quota.key()).copied().unwrap_or(Some(quota.default_limit()))
}

/// Limits as they are recorded, checked.
///
/// # Errors
/// [`Kind::Invalid`].
pub(crate) fn recorded(changes: &[(Quota, Option<u64>)]) -> Result<BTreeMap<String, Option<u64>>, Error> {
    changes
        .iter()
        .map(|(quota, limit)| quota.check(*limit).map(|()| (quota.key().to_owned(), *limit)))
        .collect()
}

/// Refuses what a tenant has no room for.
///
/// # Errors
/// [`Kind::Denied`] naming quota, limit, what is used and what is wanted, and how to raise it.
pub(crate) fn require_room(
    record: &TenantRecord,
    quota: Quota,
    (used, wanted): (u64, u64),
) -> Result<(), Error> {
    let Some(limit) = limit_of(record, quota) else { return Ok(()) };
    let sum = used.saturating_add(wanted);
    if wanted == 0 || sum <= limit {
        return Ok(());
    }
    let name = &record.name;
    let message = format!(
        "the tenant '{name}' may have {}, uses {}, and this needs {}",
        quota.amount(limit),
        short(quota, used),
        short(quota, wanted)
    );
    Err(Error::new(Kind::Denied, "tenant.quota", message)
        .about("tenant", name)
        .about("quota", quota.key())
        .about("limit", limit.to_string())
        .about("used", used.to_string())
        .about("wanted", wanted.to_string())
        .hint("use less, or end or remove something first")
        .hint_command(
            "the operator can raise it",
            format!("hostler tenant limits {name} {}={}", quota.key(), written(quota, sum)),
        ))
}

fn short(quota: Quota, value: u64) -> String {
    match quota.unit() {
        QuotaUnit::Bytes => hostler_domain::Bytes(value).to_string(),
        _ => value.to_string(),
    }
}

/// A limit that holds so much, as it is written on a command line: bytes in whole MiB.
fn written(quota: Quota, value: u64) -> String {
    const MIB: u64 = 1 << 20;
    match quota.unit() {
        QuotaUnit::Bytes => format!("{}MiB", value.div_ceil(MIB)),
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(limits: &[(Quota, Option<u64>)]) -> TenantRecord {
        TenantRecord {
            name: "blue".to_owned(),
            phase: hostler_state::TenantPhase::Active,
            uids: Vec::new(),
            gids: Vec::new(),
            storage_roots: Vec::new(),
            drivers: Vec::new(),
            networks: Vec::new(),
            bridges: Vec::new(),
            grants: None,
            limits: recorded(limits).unwrap(),
            generation: 1,
            created_unix_ms: 1,
            changed_unix_ms: 1,
        }
    }

    #[test]
    fn quota_is_hit_exactly() {
        let tenant = record(&[(Quota::Domains, Some(3)), (Quota::Disk, None), (Quota::Vcpus, Some(0))]);
        require_room(&tenant, Quota::Domains, (2, 1)).unwrap();
        require_room(&tenant, Quota::Disk, (u64::MAX, u64::MAX)).unwrap();
        // One who has too much already may do what needs no more of it.
        require_room(&tenant, Quota::Domains, (9, 0)).unwrap();
        assert!(require_room(&tenant, Quota::Vcpus, (0, 1)).is_err());
        assert!(require_room(&tenant, Quota::Memory, (u64::MAX, u64::MAX)).is_err());
        require_room(&tenant, Quota::Running, (RUNNING - 1, 1)).unwrap();
        assert!(require_room(&tenant, Quota::Running, (RUNNING, 1)).is_err());
    }

    #[test]
    fn refusal_says_everything_and_how_to_raise_it() {
        let tenant = record(&[(Quota::Memory, Some(1 << 30))]);
        let error = require_room(&tenant, Quota::Memory, (512 << 20, 513 << 20)).unwrap_err();
        assert_eq!((error.kind, error.code()), (Kind::Denied, "tenant.quota"));
        assert_eq!(
            error.to_string(),
            "the tenant 'blue' may have 1 GiB of guest memory, uses 512 MiB, and this needs 513 MiB"
        );
        let command = error.hints.iter().find_map(|hint| hint.command.as_deref());
        assert_eq!(command, Some("hostler tenant limits blue memory=1025MiB"));
        let about =
            |what: &str| error.subject.iter().find(|(name, _)| name == what).map(|(_, value)| value.as_str());
        assert_eq!(
            (about("quota"), about("limit"), about("used")),
            (Some("memory"), Some("1073741824"), Some("536870912"))
        );
    }

    #[test]
    fn every_quota_has_a_name_and_a_default_that_it_takes() {
        for quota in Quota::ALL {
            assert_eq!(Quota::from_key(quota.key()).unwrap(), quota);
            quota.check(Some(quota.default_limit())).unwrap();
            assert!(!quota.amount(1).is_empty() && quota.amount(2) != quota.amount(1));
        }
        let error = Quota::from_key("domain").unwrap_err();
        assert!(error.hints[0].text.contains("'domains'"), "{:?}", error.hints);
    }

    #[test]
    fn drivers_are_never_without_a_limit() {
        for (quota, limit) in [
            (Quota::DriverCpu, None),
            (Quota::DriverCpu, Some(0)),
            (Quota::DriverCpu, Some(1_001)),
            (Quota::DriverMemory, None),
            (Quota::DriverMemory, Some(1)),
            (Quota::DriverMemory, Some(65 << 20)),
        ] {
            assert_eq!(quota.check(limit).unwrap_err().code(), "tenant.limit-range", "{quota:?} {limit:?}");
        }
        Quota::Domains.check(None).unwrap();
        Quota::Domains.check(Some(0)).unwrap();
    }
}
