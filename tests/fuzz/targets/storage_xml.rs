//! Any text as the document of a pool or a volume: refused with a place, or written back byte for byte.
#![no_main]

use hostler_fuzz::oracles::storage_xml;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| storage_xml::check(text));
