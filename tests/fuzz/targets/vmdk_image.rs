//! Damaged VMDK images and any descriptor: bounded reading, and no verdict that contradicts another.
#![no_main]

use hostler_fuzz::generators::vmdk::VmdkCase;
use hostler_fuzz::oracles::image;
use hostler_image::Format;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|case: VmdkCase<'_>| image::check(Format::Vmdk, &case.image()));
