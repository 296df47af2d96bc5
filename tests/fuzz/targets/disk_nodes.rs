//! Any text as the devices of a domain: its disks' sources, and the block nodes that follow from them.
#![no_main]

use hostler_fuzz::oracles::disk_nodes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|devices: &str| disk_nodes::check(devices));
