//! Any reference as a source: written and read again it is the same, and what is shown of it is safe.
#![no_main]

use hostler_fuzz::generators::reference::ReferenceCase;
use hostler_fuzz::oracles::source;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|case: ReferenceCase<'_>| source::check(&case));
