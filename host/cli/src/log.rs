//! What goes on inside, on standard error: what has to be looked at, and more when asked for more.

use tracing::dispatcher::DefaultGuard;
use tracing::{Dispatch, Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::output::{Format, Streams};
use crate::settings::LogFormat;

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
