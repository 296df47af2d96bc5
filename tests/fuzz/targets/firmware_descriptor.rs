//! Any descriptors and any request: the first that fits is chosen, by rules read twice.
#![no_main]

use hostler_fuzz::generators::descriptor::DescriptorCase;
use hostler_fuzz::oracles::descriptor;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|case: DescriptorCase<'_>| descriptor::check(&case.descriptors(), &case.request()));
