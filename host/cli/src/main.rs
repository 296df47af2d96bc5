//! `hostler`: the command line of the host for hypervisor drivers.

mod attach;
mod commands;
mod definition;
mod exit;
mod failure;
mod forward;
mod input;
mod line;
mod log;
mod output;
mod sent;
mod session;
mod settings;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use hostler_domains::{COMPILE_ARGUMENT, WORK_ARGUMENT};

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    match words.as_slice() {
        [_, only] if only == COMPILE_ARGUMENT => of_the_host(hostler_domains::compile_here()),
        [_, only] if only == WORK_ARGUMENT => of_the_host(hostler_domains::work_here()),
        words => line::run(words).into(),
    }
}

/// The end of a process in which a driver was compiled or has run: the host talks to it, nobody else.
fn of_the_host(ended: Result<(), String>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            // Whoever started this reads it; if nobody does, the status still tells.
            writeln!(std::io::stderr(), "{why}").ok();
            ExitCode::FAILURE
        }
    }
}
