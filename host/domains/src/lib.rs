//! The verbs: define, start, shutdown and the rest, one file each; jobs, events, recovery.
//!
//! [`Host`] is the library under the command line, and will be the one under the daemon. It is opened
//! as the one owner of a state directory, to change things, or as one of many readers.

mod catch_up;
mod chain;
mod config;
mod context;
mod conversion;
mod drivers;
mod error;
mod host;
mod image_summary;
mod lost;
mod process;
mod recovery;
mod reference;
mod summary;
mod user;
mod verbs;

pub use config::{Config, Overrides};
pub use error::{Error, Fault, Hint, Kind};
pub use host::{Access, Host};
pub use hostler_launch::CommandLine;
pub use hostler_state::{Batch, Event, EventLog};
pub use image_summary::{
    ImageChain, ImageCheck, ImageLayer, ImageProbe, ImageReport, NamedFileReport, ReferenceReport,
};
pub use reference::DomainRef;
pub use summary::{
    Defined, DiskChain, DiskSummary, DomainDetails, DomainSummary, DriverSummary, Finding, LayerSummary,
    RunState, Started, Status, Undefined, Warning,
};
pub use verbs::{ConsoleStream, NativeSource, StartOptions, UndefineOptions, Which, probe_image};
