//! What a driver may do: manifest, operator policy and tenant, intersected. Pure.
//!
//! A driver asks in its [`Manifest`], the operator's [`Policy`] says what it may have, the [`Tenant`] what
//! may be used on its behalf. [`grant`] gives what all three agree on, and says of everything else who
//! denied it and what would change that. A policy with keys also asks who signed the driver.

mod allow;
mod capability;
mod contract;
mod decide;
mod error;
mod manifest;
mod policy;
mod settings;
mod signature;
mod signers;
mod tenant;
mod version;

pub use allow::AllowList;
pub use capability::{Capability, Grant, SCOPE_MAX_BYTES};
pub use contract::{CONTRACT_VERSION, check_contract};
pub use decide::{Denied, Denier, Granted, grant, grants, refusals};
pub use error::{GrantError, Kind};
pub use manifest::{LIST_MAX_ENTRIES, MANIFEST_MAX_BYTES, Manifest, NAME_MAX_BYTES, is_driver_name};
pub use policy::{Consent, DefaultPolicy, DriverPolicy, POLICY_MAX_BYTES, Policy, Tenant, is_digest};
pub use settings::{CallSettings, RateSettings};
pub use signature::{
    DriverSignature, PrivateKey, PublicKey, SIGNATURES_MAX, SIGNATURES_MAX_BYTES, Signatures,
};
pub use signers::Signer;
pub use tenant::EVERY_DRIVER;
pub use version::compare_versions;
