//! What goes on inside, on standard error: what has to be looked at, and more when asked for more.

use tracing::dispatcher::DefaultGuard;
use tracing::{Dispatch, Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{self, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::output::{Format, Streams};
use crate::settings::LogFormat;

/// The variable with what a journal reads, as device and inode.
const JOURNAL: &str = "JOURNAL_STREAM";

/// The log of this process, whose level can be changed as long as it runs.
pub(crate) struct Log(Box<dyn Fn(u8) + Send + Sync>);

impl Log {
    /// Tells as much as with so many `-v`.
    pub(crate) fn set_verbosity(&self, verbosity: u8) {
        (self.0)(verbosity);
    }
}

/// Starts the log of a command. Programs, which read one document there, are told when they ask.
pub(crate) fn start(verbosity: u8, format: Format) {
    let Some(log) = of_a_command(verbosity, format, &Streams::default()) else { return };
    set_global(log);
}

/// Starts the log of a daemon.
pub(crate) fn start_of_daemon(verbosity: u8, format: LogFormat) -> Log {
    let log = tracing_subscriber::fmt().with_env_filter(filter(verbosity)).with_writer(std::io::stderr);
    match format {
        LogFormat::Text if is_read_by_a_journal() => {
            let log = log.event_format(Journal::default()).with_filter_reloading();
            let handle = log.reload_handle();
            set_global(log.into());
            Log(Box::new(move |verbosity| unchanged(handle.reload(filter(verbosity)))))
        }
        LogFormat::Text => {
            let log = log.with_filter_reloading();
            let handle = log.reload_handle();
            set_global(log.into());
            Log(Box::new(move |verbosity| unchanged(handle.reload(filter(verbosity)))))
        }
        LogFormat::Json => {
            let log = log.json().flatten_event(true).with_filter_reloading();
            let handle = log.reload_handle();
            set_global(log.into());
            Log(Box::new(move |verbosity| unchanged(handle.reload(filter(verbosity)))))
        }
    }
}

/// The log of one command in a daemon, on this thread, until it is dropped: its user is told, as by a process of its own.
pub(crate) fn of_one_command(verbosity: u8, format: Format, streams: &Streams) -> Option<DefaultGuard> {
    of_a_command(verbosity, format, streams).map(|log| tracing::dispatcher::set_default(&log))
}

fn of_a_command(verbosity: u8, format: Format, streams: &Streams) -> Option<Dispatch> {
    if verbosity == 0 && format == Format::Json {
        return None;
    }
    let streams = streams.clone();
    let log =
        tracing_subscriber::fmt().with_env_filter(filter(verbosity)).with_writer(move || streams.errors());
    Some(match verbosity {
        0 => log.event_format(Warnings).into(),
        _ => log.with_target(verbosity > 1).into(),
    })
}

fn set_global(log: Dispatch) {
    if tracing::dispatcher::set_global_default(log).is_err() {
        // Only a second log in one process can cause this, and then the first one serves.
        tracing::debug!("a log is set up already");
    }
}

fn unchanged(changed: Result<(), tracing_subscriber::reload::Error>) {
    if let Err(error) = changed {
        tracing::warn!(%error, "the log tells as much as before");
    }
}

/// Only our own crates tell; the machinery below them is not what the user asks about.
fn filter(verbosity: u8) -> EnvFilter {
    let level = match verbosity {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let ours = [
        "hostler", "domains", "runtime", "launch", "storage", "state", "image", "firmware", "grant",
        "network", "serve",
    ];
    let directives = ours.map(|name| match name {
        "hostler" => format!("hostler={level}"),
        name => format!("hostler_{name}={level}"),
    });
    let others = if verbosity == 0 { "off" } else { "warn" };
    EnvFilter::new(format!("{others},{}", directives.join(",")))
}

/// Whether standard error is the journal's (systemd.exec(5), JOURNAL_STREAM).
fn is_read_by_a_journal() -> bool {
    let Ok(stream) = std::env::var(JOURNAL) else { return false };
    rustix::fs::fstat(std::io::stderr())
        .is_ok_and(|found| stream == format!("{}:{}", found.st_dev, found.st_ino))
}

/// Lines for a journal, which knows when and from whom they come: how grave it is, as sd-daemon(3) has it, and what.
struct Journal(format::Format<format::Full, ()>);

impl Default for Journal {
    fn default() -> Self {
        Self(format::format().without_time().with_level(false).with_ansi(false))
    }
}

impl<S, N> FormatEvent<S, N> for Journal
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let grave = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        };
        write!(writer, "<{grave}>")?;
        self.0.format_event(context, writer, event)
    }
}

/// Warnings as a command's own are written: the word, and what.
struct Warnings;

impl<S, N> FormatEvent<S, N> for Warnings
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        writer.write_str("warning: ")?;
        context.format_fields(writer.by_ref(), event)?;
        writer.write_char('\n')
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn journal_is_told_how_grave_it_is_and_not_when() {
        let written = Written::default();
        let writer = written.clone();
        let log = tracing_subscriber::fmt()
            .with_env_filter(filter(1))
            .event_format(Journal::default())
            .with_writer(move || writer.clone());
        tracing::subscriber::with_default(log.finish(), || {
            tracing::error!(target: "hostler", "bad");
            tracing::info!(target: "hostler", pid = 7, "good");
            tracing::debug!(target: "hostler", "more");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text, "<3>hostler: bad\n<6>hostler: good pid=7\n");
    }
}
