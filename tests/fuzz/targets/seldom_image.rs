//! Damaged images of formats that are seldom seen: bounded reading, and no verdict that contradicts another.
#![no_main]

use hostler_fuzz::generators::foreign::seldom;
use hostler_fuzz::generators::pieces::Harm;
use hostler_fuzz::oracles::image;
use hostler_image::Format;
use libfuzzer_sys::fuzz_target;

const FORMATS: [Format; 4] = [Format::Parallels, Format::Bochs, Format::Cloop, Format::Dmg];

fuzz_target!(|case: (u8, Harm)| {
    image::check(FORMATS[usize::from(case.0) % FORMATS.len()], &seldom(case.0).harmed(&case.1));
});
