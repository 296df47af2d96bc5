//! Any stream from a hypervisor: in pieces it says what it says whole, and limits hold.
#![no_main]

use hostler_fuzz::generators::qmp::QmpCase;
use hostler_fuzz::oracles::qmp;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|case: QmpCase<'_>| qmp::check(&case));
