//! Any bytes as a component, as signatures and as a key: judged without a panic, and every sentence is safe to show.
#![no_main]

use hostler_fuzz::oracles::shown;
use hostler_grant::{PublicKey, Signatures};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let found = hostler_package::judge(bytes);
    found.problems.iter().for_each(|problem| shown::safe(problem));
    found.remarks.iter().for_each(shown::safe);
    assert!(!found.problems.is_empty() || found.manifest.is_some(), "neither a driver nor refused");
    match Signatures::parse(bytes) {
        Ok(signatures) => assert_eq!(Signatures::parse(signatures.text().as_bytes()), Ok(signatures)),
        Err(error) => shown::safe(&error),
    }
    if let Ok(key) = String::from_utf8_lossy(bytes).parse::<PublicKey>() {
        assert_eq!(key.to_string().parse(), Ok(key));
    }
});
