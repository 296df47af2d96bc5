//! What a driver author depends on: bindings, typed domain, errors, the main macro.
//!
//! A driver is a library crate, built as a `cdylib` for `wasm32-unknown-unknown`, with one type that implements [`Lifecycle`] and [`About`],
//! and one call of [`driver!`]. Everything it can do hangs off the [`Domain`] handle it is given.
//!
//! ```no_run
//! use hostler_sdk::{About, Description, Domain, Error, Event, Fact, Lifecycle, ProblemExt, RunState, problem};
//!
//! struct Sleepy;
//!
//! hostler_sdk::driver! { Sleepy, name: "sleepy", types: ["sleepy"], grants: [] }
//!
//! impl About for Sleepy {
//!     fn describe() -> Description {
//!         Description { title: "a hypervisor that only sleeps".to_owned(), facts: Vec::new() }
//!     }
//! }
//!
//! impl Lifecycle for Sleepy {
//!     fn check(domain: &Domain) -> Result<String, Error> {
//!         let document = hostler_sdk::domain::Domain::parse(&domain.config())?;
//!         if document.vcpus.maximum > 1 {
//!             return Err(problem("sleepy.vcpus", "one processor is enough for sleeping")
//!                 .hint("write <vcpu>1</vcpu>")
//!                 .unsupported());
//!         }
//!         Ok(domain.config())
//!     }
//!     fn start(domain: &Domain, _options: Vec<Fact>) -> Result<(), Error> {
//!         domain.put_state(b"asleep")
//!     }
//!     fn query(domain: &Domain) -> Result<RunState, Error> {
//!         Ok(if domain.state()?.is_empty() { RunState::Off } else { RunState::Sleeping })
//!     }
//!     fn destroy(domain: &Domain) -> Result<(), Error> {
//!         domain.put_state(b"")
//!     }
//!     # fn shutdown(domain: &Domain) -> Result<(), Error> { Self::destroy(domain) }
//!     # fn suspend(_: &Domain) -> Result<(), Error> { Ok(()) }
//!     # fn resume(_: &Domain) -> Result<(), Error> { Ok(()) }
//!     # fn reset(_: &Domain) -> Result<(), Error> { Ok(()) }
//!     # fn reattach(domain: &Domain) -> Result<RunState, Error> { Self::query(domain) }
//!     # fn on_event(_: &Domain, _: Event) -> Result<(), Error> { Ok(()) }
//!     # fn recovery_complete() {}
//!     // and shutdown, suspend, resume, reset, reattach, on_event, recovery_complete
//! }
//! # fn main() {}
//! ```
//! `drivers/test` is the shortest complete example.

pub mod bindings;
mod error;
mod launch;
mod manifest;
mod monitor;
mod resources;
mod show;
mod value;

pub use bindings::block_jobs::exports::hostler::driver::block_jobs::{
    BlockJob, Guest as BlockJobs, JobKind, JobReport, JobState,
};
pub use bindings::driver::exports::hostler::driver::about::{Description, Guest as About};
pub use bindings::driver::exports::hostler::driver::lifecycle::Guest as Lifecycle;
pub use bindings::driver::hostler::host::domain::{BootFile, Domain};
pub use bindings::driver::hostler::host::firmware::{Attachment, Firmware};
pub use bindings::driver::hostler::host::log::Level;
pub use bindings::driver::hostler::host::process::{Ending, Process};
pub use bindings::driver::hostler::host::qmp::{Event, Monitor};
pub use bindings::driver::hostler::host::storage::{Below, Chain, Image, Layer};
pub use bindings::driver::hostler::host::types::{Error, Fact, Problem, RunState};
pub use bindings::driver::hostler::host::{clock, log};
pub use bindings::dump::exports::hostler::driver::dump::Guest as Dump;
pub use bindings::hotplug::exports::hostler::driver::hotplug::{Guest as Hotplug, Presence};
pub use bindings::migration::exports::hostler::driver::migration::{
    Guest as Migration, MigrationReport, MigrationState,
};
pub use bindings::native_config::exports::hostler::driver::native_config::Guest as NativeConfig;
pub use bindings::reboot::exports::hostler::driver::reboot::Guest as Reboot;
pub use bindings::save::exports::hostler::driver::save::Guest as Save;
pub use bindings::screen::exports::hostler::driver::screen::Guest as Screen;
pub use bindings::sizing::exports::hostler::driver::sizing::{Amounts, Guest as Sizing};
pub use bindings::snapshots::exports::hostler::driver::snapshots::{Guest as Snapshots, Kept};
pub use bindings::statistics::exports::hostler::driver::statistics::Guest as Statistics;
pub use bindings::upkeep::exports::hostler::driver::upkeep::Guest as Upkeep;
pub use error::{ProblemExt, problem};
pub use hostler_domain as domain;
pub use launch::{Companion, Launch};
pub use monitor::{Command, MonitorExt};
pub use resources::Resources;
pub use value::{Symbol, Value};

/// Makes one [`Fact`].
pub fn fact(key: &str, value: impl Into<String>) -> Fact {
    Fact { key: key.to_owned(), value: value.into() }
}

/// What the macros expand to; not for direct use.
#[doc(hidden)]
pub mod internal {
    pub use crate::bindings::{
        block_jobs, driver, dump, hotplug, migration, native_config, reboot, save, screen, sizing, snapshots,
        statistics, upkeep,
    };
    pub use crate::manifest::{copy, names};
}
