//! The least that a program does whose drivers run in processes of their own: it is the worker when it is told to.
//! The tests of the sandbox use it for theirs.

use std::process::ExitCode;

use hostler_runtime::{WORK_ARGUMENT, work_here};

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    match words.as_slice() {
        [only] if only == WORK_ARGUMENT && work_here().is_ok() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
