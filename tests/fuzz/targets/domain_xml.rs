//! Any text as a domain document: byte-exact round trip, and edits that keep the rest.
#![no_main]

use hostler_fuzz::oracles::xml;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| xml::check(text));
