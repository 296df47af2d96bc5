//! End to end: the real `hostler` command, the real components, a real QEMU.
//!
//! Each test has a state directory of its own and waits for events, never for a time.
//! `cargo xtask test` builds everything that these need; without it they say what is missing.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "everything here is a test: what does not hold fails it, and what is skipped is said"
)]

mod agent;
mod agent_exec;
mod author;
mod autostart;
mod block_jobs;
mod cage;
mod conformance;
mod control_groups;
mod daemon;
mod daemon_full;
mod daemon_kill;
mod display;
mod display_servers;
mod driver_registry;
mod driver_store;
mod encryption;
mod faults;
mod firmware;
mod firmware_choice;
mod firmware_fate;
mod firmware_flash;
mod firmware_scene;
mod firmware_store;
mod hostile_driver;
mod hotplug;
mod hotplug_others;
mod image;
mod kill;
mod lifecycle;
mod limits;
mod linux;
mod migrate;
mod native;
mod networks;
mod objects;
mod observe;
mod on_crash;
mod passt;
mod random_kill;
mod rpc_client;
mod save;
mod screen;
mod serve;
mod serve_access;
mod serve_block_jobs;
mod serve_calls;
mod serve_clients;
mod serve_commands;
mod serve_events;
mod serve_graphics;
mod serve_hostile;
mod serve_migrate;
mod serve_operations;
mod serve_polkit;
mod serve_ssh;
mod serve_stuck;
mod serve_tenants;
mod serve_tls;
mod sizing;
mod small_file_system;
mod snapshot_kill;
mod snapshot_live;
mod snapshot_memory;
mod snapshot_scene;
mod snapshot_store;
mod snapshots;
mod storage;
mod storage_daemon;
mod tenants;
mod tpm;
mod virtiofs;
mod volumes;
mod workbench;
mod workers;
mod wrong_input;
