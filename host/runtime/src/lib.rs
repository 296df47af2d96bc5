//! The component sandbox: engine, cache, limits, and the host interfaces.
//!
//! A [`Runtime`] loads [`Driver`]s: the manifest is read and held against the operator's policy before anything
//! is compiled. Each operation of a driver runs in a fresh instance under all [`limits`], reaches the machine
//! only through the interfaces in `interfaces/`, and ends in an answer or in a [`RuntimeError`] that names
//! driver, version and operation. A trap, a timeout or too much memory loses nothing but that call.

mod activity;
mod answer;
mod bindings;
mod block_jobs;
mod bucket;
mod cache;
mod call;
mod chain;
mod chardev;
mod compiler;
mod component;
mod context;
mod contract;
mod description;
mod driver;
mod encryption;
mod engine;
mod error;
mod fault;
mod flash_formats;
mod hotplug;
mod inspect;
mod interfaces;
pub mod limits;
mod linked;
mod meter;
mod migration;
mod open_chain;
mod opened;
mod operation;
mod operations;
mod overlays;
mod rates;
mod recorded;
mod request;
mod roots;
mod runtime;
mod secrets;
mod settings;
mod sizing;
mod text;
mod upkeep;
mod volumes;
mod worker;

pub use activity::{Activity, Tally};
pub use block_jobs::{BlockJob, BlockJobKind, BlockJobReport, BlockJobState};
pub use cache::CacheOutcome;
pub use chardev::{channel_alias, console_aliases};
pub use compiler::{COMPILE_ARGUMENT, compile_here};
pub use context::{DomainContext, Next, OpenChannels, Purpose, RunDocument, StateAccess, Transfer};
pub use description::{Description, RunState};
pub use driver::Driver;
pub use engine::Allocation;
pub use error::{Case, DriverIdentity, Problem, RuntimeError, RuntimeErrorKind};
pub use flash_formats::QemuFormats;
pub use inspect::{
    Barrier, Detail, FileFacts, ImageFacts, InspectedChain, InspectedLayer, Needs, Probe, ProbeVerdict, User,
    barrier, inspect_disk, inspect_header, inspect_image, probe_image, screen_image,
};
pub use limits::Limits;
pub use migration::{MigrationReport, MigrationState};
pub use open_chain::{OpenChain, OpenLayer, open_chain};
pub use operation::Operation;
pub use overlays::KeptWithin;
pub use recorded::Recorded;
pub use roots::Roots;
pub use runtime::{Runtime, RuntimeConfig};
pub use secrets::{NoSecrets, SecretRefusal, SecretRefused, Secrets};
pub use settings::TenantLimits;
pub use sizing::Amounts;
pub use worker::inside::work_here;
pub use worker::{WORK_ARGUMENT, judge_message};
