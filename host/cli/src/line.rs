//! A command line from its words to the status that it ends with.

use std::ffi::OsString;

use crate::definition::{self, Command, Globals, Parsed};
use crate::exit::Exit;
use crate::failure::{Failure, Stop};
use crate::forward;
use crate::log;
use crate::output::{Format, Output, Streams};
use crate::sent::fits;
use crate::session::Session;

/// Does what the words of a user say, in this process or, where a daemon owns the state directory, in that.
pub(crate) fn run(words: &[OsString]) -> u8 {
    let streams = Streams::default();
    let (Parsed { line, definition, matches }, output) = match read(words, &streams) {
        Ok(read) => read,
        Err(exit) => return exit.status(),
    };
    // A daemon's settings say how its log is written.
    if !matches!(line.command, Command::Serve(_)) {
        log::start(line.globals.verbose, output.format());
    }
    let session = Session::new(line.globals, output);
    match carry_out(line.command, &session) {
        Ok(exit) => exit.status(),
        Err((address, failure)) => {
            let forwarded = forward::forward(&session, &address, failure, (&definition, &matches));
            forwarded.unwrap_or_else(|failure| {
                session.output().failure(&failure);
                failure.exit.status()
            })
        }
    }
}

/// Does what the words of a command say that was sent to this process, a daemon.
pub(crate) fn run_sent(
    words: &[OsString],
    (streams, said): (&Streams, Vec<String>),
    own: &Globals,
    command: hostler_serve::Command,
) -> Exit {
    let (Parsed { line, matches, .. }, output) = match read(words, streams) {
        Ok(read) => read,
        Err(exit) => return exit,
    };
    let output = output.after(said);
    let fits = match line.command.is_for_the_owner() {
        true => fits(own, &line.globals),
        false => {
            let message = "a daemon does not carry this command out";
            Err(Failure::new("cli.not-for-daemon", Exit::Usage, message).into())
        }
    };
    if let Err(failure) = fits {
        output.failure(&failure);
        return failure.exit;
    }
    let domain = definition::domain(&matches);
    let session = Session::sent(line.globals, output, command, domain);
    let _log = log::of_one_command(session.verbosity(), session.output().format(), streams);
    carry_out(line.command, &session).unwrap_or_else(|(_, failure)| {
        // Nothing in a daemon finds another owner.
        session.output().failure(&failure);
        failure.exit
    })
}

fn read(words: &[OsString], streams: &Streams) -> Result<(Parsed, Output), Exit> {
    let (format, colour) = definition::appearance(words);
    match definition::parse(words, colour) {
        Ok(parsed) => {
            let Globals { output, quiet, color, .. } = parsed.line.globals;
            Ok((parsed, Output::new(streams.clone(), output, quiet, color)))
        }
        Err(error) => Err(answer_of_the_parser(&error, &Output::new(streams.clone(), format, false, colour))),
    }
}

/// Does it; the address of the daemon that is to do it otherwise, and the failure for when it cannot.
fn carry_out(command: Command, session: &Session) -> Result<Exit, (String, Box<Failure>)> {
    let output = session.output();
    let stopped = match command.run(session) {
        Ok(reply) => match output.reply(&reply) {
            Ok(()) => return Ok(reply.exit()),
            Err(error) => Stop::writing(&error),
        },
        Err(stopped) => stopped,
    };
    match stopped {
        Stop::PipeClosed => Ok(Exit::Success),
        Stop::Served(address, failure) => Err((address, failure)),
        Stop::Failed(failure) => {
            output.failure(&failure);
            Ok(failure.exit)
        }
    }
}

/// Help and version are data; anything else that the parser says is an error of usage.
fn answer_of_the_parser(error: &clap::Error, output: &Output) -> Exit {
    if !error.use_stderr() {
        return output.help(error);
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
    use crate::output::colour::When;

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
