//! Control groups of guests (cgroups(7)), both versions and any mixture: what a guest may use of its host's processors,
//! memory and block devices.
//!
//! Each run of a guest has a group of its own, below `hostler` at the top of each hierarchy: made before its programs
//! are, which are started inside of it, and removed by the shim when they have ended. What a hypervisor is in is asked of the
//! kernel, never of a record.

mod error;
mod group;
mod layout;
mod seat;
mod setting;
mod threads;

pub use error::{GroupError, GroupErrorKind};
pub use group::{Group, sweep};
pub use layout::{Controller, Layout};
pub use threads::GroupThread;

pub(crate) use seat::{Seat, remove};
