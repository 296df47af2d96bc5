//! Damaged VHD images: bounded reading, and no verdict that contradicts another.
#![no_main]

use hostler_fuzz::generators::foreign::vhd;
use hostler_fuzz::generators::pieces::Harm;
use hostler_fuzz::oracles::image;
use hostler_image::Format;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|case: (u8, Harm)| image::check(Format::Vpc, &vhd(case.0).harmed(&case.1)));
