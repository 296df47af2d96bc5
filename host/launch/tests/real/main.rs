//! Launches with a real QEMU: what no double can show.

mod confinement;
mod consoles;
mod disks;
mod endings;
mod monitor;
mod support;
