//! What a driver may do: manifest, operator policy and tenant, intersected. Pure.
//!
//! A driver asks in its [`Manifest`], the operator's [`Policy`] says what it may have, the [`Tenant`] what
//! may be used on its behalf. [`grant`] gives what all three agree on, and says of everything else who
//! denied it and what would change that.

mod allow;
mod capability;
mod contract;
mod decide;
mod error;
mod manifest;
mod policy;
mod tenant;

pub use allow::AllowList;
pub use capability::{Capability, Grant, SCOPE_MAX_BYTES};
pub use contract::{CONTRACT_VERSION, check_contract};
pub use decide::{Denied, Denier, Granted, grant};
pub use error::{GrantError, Kind};
pub use manifest::{LIST_MAX_ENTRIES, MANIFEST_MAX_BYTES, Manifest, NAME_MAX_BYTES};
pub use policy::{DefaultPolicy, DriverPolicy, POLICY_MAX_BYTES, Policy, Tenant};
pub use tenant::EVERY_DRIVER;
