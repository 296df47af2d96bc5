//! Any bytes as a variable store: described as it is, or refused.
#![no_main]

use hostler_fuzz::generators::store::StoreCase;
use hostler_fuzz::oracles::store;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|case: StoreCase<'_>| store::check(&case));
