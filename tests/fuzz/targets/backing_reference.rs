//! Any backing reference: no secret survives redaction, and only names of files are usable.
#![no_main]

use hostler_fuzz::generators::reference::ReferenceCase;
use hostler_fuzz::oracles::reference;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|case: ReferenceCase<'_>| reference::check(&case));
