//! Devices of a running guest: they come, go and change.
//!
//! What the hypervisor calls them is noted before anything is done: the nodes of a disk's image, and the ids of
//! devices that follow from their position when a guest starts and must not when one of them is gone.

mod attach;
mod copies;
mod detach;
mod display;
pub(super) mod limits;
mod machine;
mod media;
mod names;
mod nodes;
mod overlays;
mod steps;
mod subject;
mod update;

pub(crate) use attach::attach;
pub(super) use copies::Copy;
pub(super) use detach::is_let_go;
pub(crate) use detach::{detach, settle};
pub(super) use names::{aliases, named};
pub(super) use nodes::{key, of};
pub(crate) use overlays::{overlay, overlay_with_memory, settle_overlays};
pub(crate) use update::update;
