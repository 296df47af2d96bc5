//! Bytes of a client: frames come out as they went in, and nothing that they announce is made before it is there.
#![no_main]

use hostler_fuzz::oracles::rpc;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| rpc::check(bytes));
