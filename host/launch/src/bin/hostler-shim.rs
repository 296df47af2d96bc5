//! The per-domain shim. Started by hostler alone; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    hostler_launch::shim::entry::main()
}
