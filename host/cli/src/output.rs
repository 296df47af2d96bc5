//! The only module that writes to the terminal: standard output carries data, standard error the rest.

pub(crate) mod colour;
pub(crate) mod escape;
mod problem;
mod progress;
pub(crate) mod quantity;
mod reply;
mod streams;
pub(crate) mod table;
mod terminal;

use std::collections::VecDeque;
use std::io::{self, BufRead as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) use problem::line as problem_line;
pub(crate) use progress::Progress;
pub(crate) use reply::{Block, Reply, with_schema};
pub(crate) use streams::{Given, Streams};

use crate::exit::Exit;
use crate::failure::Failure;
use colour::{Tone, When, Wishes};

/// How data is written on standard output (`-o`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Columns and named facts, for people.
    #[default]
    Table,
    /// One JSON document, for programs.
    Json,
}

/// Where and how to write; decided once, from the flags, the environment and the streams.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    streams: Streams,
    remarks: Arc<Mutex<Remarks>>,
    format: Format,
    quiet: bool,
    colour_out: bool,
    colour_err: bool,
    terminal_out: bool,
    terminal_err: bool,
}

/// The remarks of a command. One that a daemon carries out begins anew there, and makes those again that it has made already.
#[derive(Debug, Default)]
struct Remarks {
    said: Vec<String>,
    expected: VecDeque<String>,
}

impl Remarks {
    /// Whether a remark was not made before this command came here.
    fn is_new(&mut self, text: &str) -> bool {
        self.said.push(text.to_owned());
        let repeated = self.expected.front().is_some_and(|expected| expected == text);
        if repeated {
            self.expected.pop_front();
        }
        !repeated
    }
}

impl Output {
    /// Looks at the streams and the environment.
    pub(crate) fn new(streams: Streams, format: Format, quiet: bool, when: When) -> Self {
        let [no_color, clicolor_force, term] =
            ["NO_COLOR", "CLICOLOR_FORCE", "TERM"].map(|name| streams.variable(name));
        let wishes = Wishes {
            no_color: no_color.as_deref(),
            clicolor_force: clicolor_force.as_deref(),
            term: term.as_deref(),
        };
        let terminal_out = streams.output_is_terminal();
        let terminal_err = streams.errors_are_on_terminal();
        Self {
            streams: streams.clone(),
            remarks: Arc::default(),
            format,
            quiet,
            colour_out: when.decide(terminal_out, &wishes),
            colour_err: when.decide(terminal_err, &wishes),
            terminal_out,
            terminal_err,
        }
    }

    /// The same, after these remarks were made elsewhere: they are not made again.
    pub(crate) fn after(self, said: Vec<String>) -> Self {
        self.remarks().expected = said.into();
        self
    }

    /// The remarks that were made until now.
    pub(crate) fn said(&self) -> Vec<String> {
        self.remarks().said.clone()
    }

    fn remarks(&self) -> MutexGuard<'_, Remarks> {
        self.remarks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where is read and written.
    pub(crate) fn streams(&self) -> &Streams {
        &self.streams
    }

    /// The format asked for.
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// Whether remarks and confirmations are not wanted.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Writes what a command has to say. A reply that only confirms is left out with `--quiet`.
    ///
    /// # Errors
    /// What the stream says; a closed pipe among it.
    pub(crate) fn reply(&self, reply: &Reply) -> io::Result<()> {
        match self.format {
            Format::Json => self.bytes(reply.json_text().as_bytes()),
            Format::Table if self.quiet && reply.only_confirms() => Ok(()),
            Format::Table => {
                let text = reply.text(self.width(), self.colour_out, self.terminal_out);
                self.bytes(text.as_bytes())
            }
        }
    }

    /// Writes bytes as they are (a console, a line of a stream), and flushes.
    ///
    /// # Errors
    /// What the stream says; a closed pipe among it.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> io::Result<()> {
        let mut out = self.streams.output();
        out.write_all(bytes)?;
        out.flush()
    }

    /// Writes why the command failed: text, or one JSON document, on standard error.
    pub(crate) fn failure(&self, failure: &Failure) {
        let text = match self.format {
            Format::Table => problem::text(failure, self.colour_err),
            Format::Json => problem::json(failure),
        };
        self.complain(&text);
    }

    /// Writes why the parser refused the command line, with its own layout but our code.
    pub(crate) fn usage(&self, error: &clap::Error) {
        let text =
            if self.colour_err { error.render().ansi().to_string() } else { error.render().to_string() };
        self.complain(&text.replacen("error:", "error[cli.usage]:", 1));
    }

    /// Writes help, or the version, which the parser has made.
    pub(crate) fn help(&self, text: &clap::Error) -> Exit {
        let written = match self.streams.are_given() {
            false => text.print(),
            true if self.colour_out => self.bytes(text.render().ansi().to_string().as_bytes()),
            true => self.bytes(text.render().to_string().as_bytes()),
        };
        match written {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Exit::Failed,
            _ => Exit::Success,
        }
    }

    /// Writes a warning: the command goes on. JSON output carries its warnings in the document.
    pub(crate) fn warning(&self, text: &str) {
        if self.format == Format::Table {
            let label = Tone::Warning.paint("warning:", self.colour_err);
            self.complain(&format!("{label} {}\n", escape::block(text, 4)));
        }
    }

    /// Writes a remark that is neither data nor a problem; not with `--quiet`, and not for programs:
    /// with JSON output they find one document on standard error, or nothing.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet && (self.format == Format::Table || self.terminal_err) && self.remarks().is_new(text) {
            self.complain(&format!("{}\n", escape::line(text)));
        }
    }

    /// Writes what there is to know before something is done, on standard error; programs find it in the answer.
    pub(crate) fn before(&self, blocks: Vec<Block>) {
        if self.format == Format::Table && !self.quiet {
            let text = Reply::data(serde_json::Value::Null, blocks).text(None, self.colour_err, true);
            self.complain(&text);
        }
    }

    /// Asks a question that is answered with yes or no, where somebody is there to answer it: nothing otherwise.
    pub(crate) fn ask(&self, question: &str) -> Option<bool> {
        if self.format != Format::Table || !self.terminal_err || !self.streams.input_is_terminal() {
            return None;
        }
        self.complain(&format!("{} [y/N] ", escape::line(question)));
        let mut answer = String::new();
        io::BufReader::new(self.streams.input()).read_line(&mut answer).ok()?;
        Some(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    /// Shows that something long goes on, until the value is dropped.
    pub(crate) fn progress(&self, what: &str) -> Progress {
        if self.quiet {
            Progress::silent()
        } else if self.terminal_err {
            Progress::spinner(escape::line(what), &self.streams)
        } else {
            self.note(what);
            Progress::silent()
        }
    }

    /// A standard error that is gone leaves nobody to tell: the exit status still does.
    fn complain(&self, text: &str) {
        if self.streams.errors().write_all(text.as_bytes()).is_err() {
            tracing::debug!("standard error is closed");
        }
    }

    /// Columns of the terminal that standard output is, if it is one. COLUMNS overrides.
    fn width(&self) -> Option<usize> {
        if !self.terminal_out {
            return None;
        }
        let wished = self.streams.variable("COLUMNS");
        let wished = wished.and_then(|columns| columns.to_str()?.parse().ok());
        wished.or_else(|| self.streams.columns()).filter(|&columns| columns > 0)
    }
}
