//! What verbs about tenants answer.

use std::path::PathBuf;

use serde::Serialize;

use crate::quota::{Quota, QuotaUnit};

/// One tenant as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TenantSummary {
    /// Its name.
    pub name: String,
    /// Users who may act for it, beside the operator.
    pub uids: Vec<u32>,
    /// Groups whose members may act for it.
    pub gids: Vec<u32>,
    /// Directories beneath which everything lies that its documents and images name.
    pub storage_roots: Vec<PathBuf>,
    /// Drivers that it may use; `*` is every one.
    pub drivers: Vec<String>,
    /// Networks of the operator that its domains may be connected to; `*` is every one.
    pub networks: Vec<String>,
    /// Bridges of the host that they may be connected to.
    pub bridges: Vec<String>,
    /// What drivers may do on its behalf, where that is less than what the policy allows.
    pub grants: Option<Vec<String>>,
    /// When it was made, in milliseconds since 1970.
    pub created_unix_ms: u64,
}

/// One limit beside what is used of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LimitSummary {
    /// Of what.
    pub quota: Quota,
    /// What it is counted in.
    pub unit: QuotaUnit,
    /// The limit; nothing when there is none.
    pub limit: Option<u64>,
    /// Whether it was set, and is not the default.
    pub set: bool,
    /// What is used now; nothing for what is not counted, and where the tenant's state cannot be read.
    pub used: Option<u64>,
}

/// Everything about one tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TenantDetails {
    /// As it is listed.
    #[serde(flatten)]
    pub summary: TenantSummary,
    /// Its own state directory.
    pub state_dir: PathBuf,
    /// Its limits.
    pub limits: Vec<LimitSummary>,
    /// Why what it uses is not known.
    pub problem: Option<String>,
}

/// One limit that was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LimitChange {
    /// Of what.
    pub quota: Quota,
    /// What it is counted in.
    pub unit: QuotaUnit,
    /// What it was.
    pub before: Option<u64>,
    /// What it is.
    pub after: Option<u64>,
    /// What is used now.
    pub used: Option<u64>,
}

/// What became of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TenantChanged {
    /// As it is now.
    pub tenant: TenantSummary,
    /// Limits that were changed.
    pub limits: Vec<LimitChange>,
    /// What is worth knowing about it.
    pub warnings: Vec<String>,
}

/// What went with a tenant that was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TenantRemoved {
    /// Its name.
    pub name: String,
    /// Domains that were defined.
    pub domains: Vec<String>,
    /// Variable stores, with those that had been kept.
    pub variable_stores: usize,
    /// Domains of which something is kept that their helpers had, such as the state of a TPM.
    pub kept_states: usize,
    /// Pools that were defined. What is stored in them stays.
    pub pools: Vec<String>,
    /// Volumes and images that were made for it, which stay.
    pub images_left: Vec<PathBuf>,
}
