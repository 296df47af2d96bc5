//! Any bytes as a record: what is read back is exactly what was written, or nothing.
#![no_main]

use hostler_fuzz::generators::record::RecordCase;
use hostler_state::{decode, encode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|case: RecordCase<'_>| {
    let bytes = case.bytes();
    if let Ok(payload) = decode(bytes.clone()) {
        assert_eq!(encode(&payload), bytes, "content that was never written is read");
    }
    assert_eq!(decode(encode(&bytes)), Ok(bytes));
});
