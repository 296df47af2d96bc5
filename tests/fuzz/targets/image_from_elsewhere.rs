//! Any bytes, said to be of any format: bounded reading, and no verdict that contradicts another.
#![no_main]

use hostler_fuzz::generators::pieces::Pieces;
use hostler_fuzz::oracles::image;
use hostler_image::Format;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|case: (u8, u8, &[u8])| {
    let (format, longer, bytes) = case;
    let formats: Vec<_> = Format::all().collect();
    let mut pieces = Pieces::from(bytes);
    pieces.length += u64::from(longer) << 12;
    image::check(formats[usize::from(format) % formats.len()], &pieces);
});
