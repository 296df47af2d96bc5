//! Damaged VHDX images: bounded reading, and no verdict that contradicts another.
#![no_main]

use hostler_fuzz::generators::foreign::vhdx;
use hostler_fuzz::generators::pieces::Harm;
use hostler_fuzz::oracles::image;
use hostler_image::Format;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|case: (u8, Harm)| image::check(Format::Vhdx, &vhdx(case.0).harmed(&case.1)));
