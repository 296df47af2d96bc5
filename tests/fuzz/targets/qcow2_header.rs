//! Any bytes as a disk image: bounded reading, and a header that says what the bytes say.
#![no_main]

use hostler_fuzz::oracles::header;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| header::check(bytes));
