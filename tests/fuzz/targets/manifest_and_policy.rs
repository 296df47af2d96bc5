//! Any manifest, policy and tenant, apart by NUL: valid or refused, and granted only what all allow.
#![no_main]

use hostler_fuzz::oracles::grant;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| grant::check(bytes));
