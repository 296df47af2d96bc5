//! Any directory of images: no open outside the policy, bounded reading and depth, an explicit end.
#![no_main]

use hostler_fuzz::generators::chain::{ChainCase, prepare};
use hostler_fuzz::oracles::opener;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|case: ChainCase| {
    let _layers_or_refusal = opener::check(prepare(&case));
});
