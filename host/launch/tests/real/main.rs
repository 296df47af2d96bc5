//! Launches with a real QEMU: what no double can show.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a failed unwrap is a failed test, also in what tests share; tests print why they skip"
)]

mod abuses;
mod cage;
mod cell;
mod confinement;
mod consoles;
mod control_group;
mod disks;
mod endings;
mod endpoints;
mod hostile;
mod lending;
mod monitor;
mod storage_daemon;
mod support;
