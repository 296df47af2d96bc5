//! Any plan against the shipped template: checked without a panic, and what passes reads back as itself.
#![no_main]

use arbitrary::Unstructured;
use hostler_fuzz::generators::{handles, plan};
use hostler_fuzz::oracles::command_line;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (handles, shown_as): (Vec<_>, Vec<_>) = handles::all().into_iter().unzip();
    if let Ok(case) = plan::make(&mut Unstructured::new(bytes), &handles) {
        command_line::verify(&case, &handles, &shown_as);
    }
});
