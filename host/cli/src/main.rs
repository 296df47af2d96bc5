//! `hostler`: the command line of the host for hypervisor drivers.

mod attach;
mod commands;
mod definition;
mod exit;
mod failure;
mod input;
mod output;
mod session;

use std::ffi::OsString;
use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

use exit::Exit;
use failure::{Failure, Stop};
use hostler_domains::{COMPILE_ARGUMENT, WORK_ARGUMENT};
use output::{Format, Output};
use session::Session;

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    match words.as_slice() {
        [_, only] if only == COMPILE_ARGUMENT => of_the_host(hostler_domains::compile_here()),
        [_, only] if only == WORK_ARGUMENT => of_the_host(hostler_domains::work_here()),
        words => run(words).into(),
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

fn run(words: &[OsString]) -> Exit {
    let (format, colour) = definition::appearance(words);
    let line = match definition::parse(words, colour) {
        Ok(line) => line,
        Err(error) => return answer_of_the_parser(&error, &Output::new(format, false, colour)),
    };
    let output = Output::new(line.globals.output, line.globals.quiet, line.globals.color);
    let session = Session::new(line.globals, output);
    let stopped = match line.command.run(&session) {
        Ok(reply) => match output.reply(&reply) {
            Ok(()) => return reply.exit(),
            Err(error) => Stop::writing(&error),
        },
        Err(stopped) => stopped,
    };
    match stopped {
        Stop::PipeClosed => Exit::Success,
        Stop::Failed(failure) => {
            output.failure(&failure);
            failure.exit
        }
    }
}

/// Help and version are data; anything else that the parser says is an error of usage.
fn answer_of_the_parser(error: &clap::Error, output: &Output) -> Exit {
    if !error.use_stderr() {
        return match error.print() {
            Err(unwritten) if unwritten.kind() != ErrorKind::BrokenPipe => Exit::Failed,
            _ => Exit::Success,
        };
    }
    match output.format() {
        Format::Json => output.failure(&usage_failure(error)),
        Format::Table => output.usage(error),
    }
    Exit::Usage
}

/// What the parser says, without its layout: the first paragraph is the message, tips become hints.
fn usage_failure(error: &clap::Error) -> Failure {
    let text = error.render().to_string();
    let mut paragraphs = text.split("\n\n");
    let message = match error.kind() {
        clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => "a command is missing",
        _ => paragraphs.next().unwrap_or_default().trim().trim_start_matches("error: "),
    };
    let tips = paragraphs.flat_map(str::lines).filter_map(|line| line.trim().strip_prefix("tip: "));
    let failure = Failure::new("cli.usage", Exit::Usage, message);
    let failure = tips.fold(failure, |failure, tip| failure.hint(tip, None));
    failure.hint("read how the command is used", Some("hostler --help".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use output::colour::When;

    #[test]
    fn usage_failure_keeps_message_and_tips() {
        let words = ["hostler", "list", "--alll"].map(OsString::from);
        let error = definition::parse(&words, When::Never).unwrap_err();
        let failure = usage_failure(&error);
        assert_eq!(failure.exit, Exit::Usage);
        assert_eq!(failure.message, "unexpected argument '--alll' found");
        assert!(failure.hints.iter().any(|hint| hint.text.contains("'--all'")), "{:?}", failure.hints);
    }
}
