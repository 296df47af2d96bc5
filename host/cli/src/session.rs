//! What every command works with: the global options, the output, and the host when it needs one.

use std::future::Future;

use hostler_domains::{Access, Config, Host, Overrides, Workers};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::definition::Globals;
use crate::exit::Exit;
use crate::failure::{Failure, Stop};
use crate::output::{Format, Output};

/// One run of the program. Making it costs nothing: runtime, state and drivers come when asked for.
pub(crate) struct Session {
    globals: Globals,
    output: Output,
}

impl Session {
    /// Takes the global options; starts the log on standard error if they ask for one.
    pub(crate) fn new(globals: Globals, output: Output) -> Self {
        start_log(globals.verbose, output.format());
        Self { globals, output }
    }

    /// Where and how to write.
    pub(crate) fn output(&self) -> &Output {
        &self.output
    }

    /// Opens the state directory as its one owner, to change things; waits for another owner as long
    /// as `--lock-timeout` says.
    pub(crate) async fn owner(&self) -> Result<Host, Stop> {
        self.open(Access::Owner { wait: self.globals.lock_timeout.0 }).await
    }

    /// Opens the state directory as a reader; takes no lock.
    pub(crate) async fn reader(&self) -> Result<Host, Stop> {
        self.open(Access::Reader).await
    }

    /// Opens the state directory for making or copying an image outside pools: as a reader, but on behalf of a tenant, whose
    /// images are counted, as its owner.
    pub(crate) async fn image_maker(&self) -> Result<Host, Stop> {
        let host = self.reader().await?;
        if host.counts_images() { self.owner().await } else { Ok(host) }
    }

    /// Where things are on this host, as the global options and the environment say.
    pub(crate) fn config(&self) -> Result<Config, Stop> {
        self.config_where(self.globals.workers)
    }

    /// The same, with drivers where this says unless the options or the environment say otherwise.
    pub(crate) fn config_with(&self, workers: Workers) -> Result<Config, Stop> {
        let said = std::env::var_os("HOSTLER_WORKERS").is_some_and(|word| !word.is_empty());
        self.config_where(self.globals.workers.or((!said).then_some(workers)))
    }

    fn config_where(&self, workers: Option<Workers>) -> Result<Config, Stop> {
        let overrides = Overrides {
            state_dir: self.globals.state_dir.clone(),
            driver_dirs: self.globals.driver_dirs.clone(),
            image_roots: self.globals.image_roots.clone(),
            policy: self.globals.policy.clone(),
            tenant: self.globals.tenant.clone(),
            cage: self.globals.cage,
            workers,
        };
        Ok(Config::discover(overrides)?)
    }

    async fn open(&self, access: Access) -> Result<Host, Stop> {
        Ok(Host::open(self.config()?, access).await?)
    }

    /// Runs the asynchronous part of a command on this thread. A signal that asks the process to end
    /// drops the work where it stands: what it had begun is in the journal, and the next owner settles it.
    pub(crate) fn block_on<T>(&self, work: impl Future<Output = Result<T, Stop>>) -> Result<T, Stop> {
        self.event_loop(async {
            let mut signals = Signals::new().map_err(|error| Failure::io("listen for signals", &error))?;
            tokio::select! {
                outcome = work => outcome,
                () = signals.received() => Err(interrupted().into()),
            }
        })
    }

    /// As [`Self::block_on`], for work that takes care of signals itself.
    pub(crate) fn event_loop<T>(&self, work: impl Future<Output = Result<T, Stop>>) -> Result<T, Stop> {
        run_on(&mut tokio::runtime::Builder::new_current_thread(), work)
    }

    /// The same on all processors, for a process that has many things to do at once.
    pub(crate) fn service_loop<T>(&self, work: impl Future<Output = Result<T, Stop>>) -> Result<T, Stop> {
        // One waits for each guest that runs.
        const WAITING_THREADS: usize = 8_192;
        run_on(tokio::runtime::Builder::new_multi_thread().max_blocking_threads(WAITING_THREADS), work)
    }
}

fn run_on<T>(
    runtime: &mut tokio::runtime::Builder,
    work: impl Future<Output = Result<T, Stop>>,
) -> Result<T, Stop> {
    let runtime =
        runtime.enable_all().build().map_err(|error| Failure::io("start the event loop", &error))?;
    let outcome = runtime.block_on(work);
    // A thread that still blocks in a call must not keep the process.
    runtime.shutdown_background();
    outcome
}

/// The signals by which users and service managers ask a process to end. A hangup is not among them: it
/// ends the process by itself, and whoever started it with nohup wants it to go on.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Begins to listen; from here on these signals no longer end the process by themselves.
    ///
    /// # Errors
    /// What the operating system says.
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for any of them.
    pub(crate) async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

fn interrupted() -> Failure {
    Failure::new("cli.interrupted", Exit::Interrupted, "interrupted before the command was done")
        .users()
        .hint("see how things stand", Some("hostler list --all".to_owned()))
}

/// Starts the log of what goes on inside, on standard error: what has to be looked at, and more when asked for more. Only our
/// own crates tell; the machinery below them is not what the user asks about. Programs, which read one document there, are
/// told when they ask.
fn start_log(verbosity: u8, format: Format) {
    let level = match verbosity {
        0 if format == Format::Json => return,
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let ours = [
        "hostler", "domains", "runtime", "launch", "storage", "state", "image", "firmware", "grant", "serve",
    ];
    let directives = ours.map(|name| match name {
        "hostler" => format!("hostler={level}"),
        name => format!("hostler_{name}={level}"),
    });
    let others = if verbosity == 0 { "off" } else { "warn" };
    let filter = EnvFilter::new(format!("{others},{}", directives.join(",")));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match verbosity {
        0 => log.event_format(Warnings).try_init(),
        _ => log.with_target(verbosity > 1).try_init(),
    };
    if started.is_err() {
        // Only a second subscriber in one process can cause this, and then the first one serves.
        tracing::debug!("a log is set up already");
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
