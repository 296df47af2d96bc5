//! `cargo xtask`: the developer's only entry point.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool prints")]

mod args;
mod bench;
mod bless;
mod build;
mod check;
mod components;
mod corpus;
mod demo;
mod dist;
mod freeze;
mod fuzz;
mod guest;
mod qemu;
mod rpc_tables;
mod samples;
mod setup;
mod shell;
mod test;
mod wit_check;
mod workspace;

use args::Args;
use std::env;
use std::process::ExitCode;

const HELP: &str = "\
usage: cargo xtask VERB [ARGUMENTS]

  setup [--peer]         install what is missing: Debian packages, the wasm target (--peer: libvirt too)
  demo                   the whole product in one run: build, boot a real guest, show, shut down
  test [ARGUMENTS]       every test; arguments go to the test runner
  check                  formatting, lints, architecture rules, contract, documentation
  dist                   a Debian package in TARGET/dist, and whether it works where it is installed, with systemd
                         (--debug: of the programs that tests use, only to be tried;
                         --systemd: fail where no container can be booted)
  bless                  record the goldens anew
  components [NAME...]   build the driver components into TARGET/drivers and TARGET/guests
  guest                  make the small Linux guests that demo and tests boot
  corpus argv [DIR]      translate a corpus of domains and compare (--verbose, --diff NAME|all,
                         --loose, --hostler BIN --drivers DIR, --compare DIR)
  corpus xml-errors|realistic|storage [DIR]
                         documents that are refused; of other programs; references and chains
  bench [NAME]           benchmarks, each beside a peer or the limit
  fuzz [TARGET]          hostile input, 60 s over all targets (--seconds N); needs a nightly compiler
  rpc-tables DIR         write the tables of libvirt's protocol anew, from facts kept as JSON
  wit-check              the rules of the contract in wit/
  freeze-contract        release the contract in wit/ under its version, with drivers built against it
";

fn main() -> ExitCode {
    let mut words = env::args().skip(1);
    let verb = words.next().unwrap_or_else(|| "--help".to_owned());
    match run(&verb, Args::new(words)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(verb: &str, args: Args) -> anyhow::Result<()> {
    match verb {
        "components" => components::run(args),
        "setup" => setup::run(args),
        "guest" => guest::run(args),
        "demo" => demo::run(args),
        "dist" => dist::run(args),
        "test" => test::run(args),
        "check" => check::run(args),
        "bless" => bless::run(args),
        "bench" => bench::run(args),
        "fuzz" => fuzz::run(args),
        "freeze-contract" => freeze::run(args),
        "wit-check" => wit_check::run(args),
        "corpus" => corpus::run(args),
        "rpc-tables" => rpc_tables::run(args),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        other => anyhow::bail!("unknown verb {other}; see cargo xtask --help"),
    }
}
