//! Launch policy, argv serialisation, the QMP client and the per-domain shim.
//!
//! A driver describes a launch as data ([`Plan`]); [`check`] holds it against the operator's
//! [`Template`]; [`describe`] shows it; [`launch`] freezes it and starts it under a shim that
//! outlives its maker; [`ShimClient`] talks to that shim. Nothing here knows a hypervisor: rules are data.

pub mod accelerator;
pub mod cage;
pub mod command;
pub mod control_group;
mod error;
mod grant;
mod handle;
mod limits;
mod listen;
mod plan;
mod process;
pub mod qmp;
pub mod shim;
pub mod template;
mod value;

pub use cage::cell::{CellLimits, CellUser, enter_cell};
pub use cage::identity::KEEPER_UID;
pub use cage::posture::{Posture, posture};
pub use cage::room::{RoomLimits, enter_room};
pub use cage::{CageReport, CageSetting, Wall, WallFailure};
pub use command::{CommandLine, describe, describe_unchecked};
pub use error::{LaunchError, LaunchErrorKind, QmpError, QmpErrorKind, ShimError, ShimErrorKind};
pub use handle::{EndpointKind, EndpointSpec, Handle, Role, Transport};
pub use limits::*;
pub use listen::{connect_unix, listen_tcp, listen_tcp_from, listen_unix, loopback};
pub use plan::{Companion, OptionEntry, Plan, Reaction};
pub use process::holder_of_removed;
pub use qmp::QmpEvent;
pub use qmp::arguments::{RenderedArguments, render_arguments};
pub use qmp::sets::{FileId, Sets, owner_of};
pub use shim::client::{ShimClient, ShimStatus};
pub use shim::companion::COMPANION_ENDED;
pub use shim::door::Door;
pub use shim::finish::STOPPED;
pub use shim::inherited::close_all as close_inherited;
pub use shim::orphan::end_orphan;
pub use shim::record::{CompanionRecord, Ending, ExitRecord, ProcessRecord, StopReason};
pub use shim::start::{LaunchContext, launch};
pub use template::check::{Checked, check, check_reaction};
pub use template::companions::{CheckedCompanion, check_companions};
pub use template::{Template, TemplateSet};
pub use value::Value;
