//! Any bytes as a message of a worker: taken whole or refused, and a byte more or less is another message.
#![no_main]

use hostler_fuzz::oracles::shown;
use hostler_runtime::judge_message;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|message: &[u8]| {
    match judge_message(message) {
        Ok(()) => {
            let (shorter, longer) = (message.split_last().map(|(_, rest)| rest), [message, &[0]].concat());
            assert!(shorter.is_none_or(|shorter| judge_message(shorter).is_err()), "it ends before its end");
            assert!(judge_message(&longer).is_err(), "it goes on after its end");
        }
        Err(why) => shown::safe(&why),
    }
});
