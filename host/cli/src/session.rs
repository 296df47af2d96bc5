//! What every command works with: the global options, the output, and the host when it needs one.

use std::future::Future;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hostler_domains::{Access, Config, Host, Overrides, Workers};
use hostler_serve::{StillBusy, Turn};
use tokio::signal::unix::{Signal, SignalKind, signal};
use zeroize::Zeroizing;

use crate::definition::Globals;
use crate::exit::Exit;
use crate::failure::{Failure, Stop};
use crate::output::Output;
use crate::settings::Settings;

/// One command. Making it costs nothing: runtime, state and drivers come when asked for.
pub(crate) struct Session {
    globals: Globals,
    output: Output,
    place: Place,
    /// What was read from standard input, for whoever does this in our place.
    input: Mutex<Option<Zeroizing<Vec<u8>>>>,
}

/// Where a command is carried out.
enum Place {
    /// In the process that the user has started.
    Process,
    /// In the daemon that owns the state directory, which the command was sent to.
    Daemon(Sent),
}

/// A command that was sent to us.
struct Sent {
    command: hostler_serve::Command,
    /// The domain that it is about.
    domain: Option<String>,
}

/// The library, opened for a command.
pub(crate) struct OpenHost {
    host: Arc<Host>,
    _turn: Option<Turn>,
}

impl Deref for OpenHost {
    type Target = Host;

    fn deref(&self) -> &Host {
        &self.host
    }
}

impl Session {
    /// Takes the global options.
    pub(crate) fn new(globals: Globals, output: Output) -> Self {
        Self { globals, output, place: Place::Process, input: Mutex::default() }
    }

    /// The session of a command that was sent to this process, a daemon, and is about this domain.
    pub(crate) fn sent(
        globals: Globals,
        output: Output,
        command: hostler_serve::Command,
        domain: Option<String>,
    ) -> Self {
        Self { globals, output, place: Place::Daemon(Sent { command, domain }), input: Mutex::default() }
    }

    /// The global options.
    pub(crate) fn globals(&self) -> &Globals {
        &self.globals
    }

    /// Keeps what was read from standard input: nobody can read it again.
    pub(crate) fn keep_input(&self, read: &[u8]) {
        *self.input.lock().unwrap_or_else(PoisonError::into_inner) = Some(Zeroizing::new(read.to_vec()));
    }

    /// What was kept.
    pub(crate) fn kept_input(&self) -> Option<Zeroizing<Vec<u8>>> {
        self.input.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// How much is told of what goes on inside.
    pub(crate) fn verbosity(&self) -> u8 {
        self.globals.verbose
    }

    /// How long to wait for another owner.
    pub(crate) fn lock_timeout(&self) -> Duration {
        self.globals.lock_timeout.0
    }

    /// Where and how to write.
    pub(crate) fn output(&self) -> &Output {
        &self.output
    }

    /// Opens the state directory as its one owner, to change things; waits for another owner as long
    /// as `--lock-timeout` says. In a daemon, waits for its turn with the domain that the command is about.
    pub(crate) async fn owner(&self) -> Result<OpenHost, Stop> {
        match &self.place {
            Place::Process => self.open(Access::Owner { wait: self.globals.lock_timeout.0 }).await,
            Place::Daemon(sent) => Ok(OpenHost { host: sent.command.host(), _turn: sent.turn().await? }),
        }
    }

    /// Opens the state directory as a reader; takes no lock.
    pub(crate) async fn reader(&self) -> Result<OpenHost, Stop> {
        match &self.place {
            Place::Process => self.open(Access::Reader).await,
            Place::Daemon(sent) => Ok(OpenHost { host: sent.command.host(), _turn: None }),
        }
    }

    /// Lets the state directory of a tenant go, if it is held by this very process.
    pub(crate) async fn release_tenant(&self, name: &str) {
        if let Place::Daemon(sent) = &self.place {
            sent.command.release_tenant(name).await;
        }
    }

    /// Opens the state directory for making or copying an image outside pools: as a reader, but on behalf of a tenant, whose
    /// images are counted, as its owner.
    pub(crate) async fn image_maker(&self) -> Result<OpenHost, Stop> {
        let host = self.reader().await?;
        if host.counts_images() { self.owner().await } else { Ok(host) }
    }

    /// Where things are on this host, as the global options, the environment and the settings say.
    pub(crate) fn config(&self) -> Result<Config, Stop> {
        self.config_with(&self.settings()?, None)
    }

    /// The same with these settings, and with drivers where this says unless any of them says otherwise.
    pub(crate) fn config_with(&self, settings: &Settings, workers: Option<Workers>) -> Result<Config, Stop> {
        let overrides = Overrides {
            state_dir: self.globals.state_dir.clone(),
            driver_dirs: self.globals.driver_dirs.clone(),
            image_roots: self.globals.image_roots.clone(),
            policy: self.globals.policy.clone(),
            tenant: self.globals.tenant.clone(),
            cage: self.globals.cage,
            workers: self.globals.workers,
        };
        let said = settings.overrides();
        Ok(Config::discover(overrides, Overrides { workers: said.workers.or(workers), ..said })?)
    }

    /// The settings of this host.
    pub(crate) fn settings(&self) -> Result<Settings, Stop> {
        Settings::read(self.globals.settings.as_deref())
    }

    async fn open(&self, access: Access) -> Result<OpenHost, Stop> {
        let host = Arc::new(Host::open(self.config()?, access).await?);
        Ok(OpenHost { host, _turn: None })
    }

    /// Runs the asynchronous part of a command on this thread. A signal that asks the process to end
    /// drops the work where it stands: what it had begun is in the journal, and the next owner settles it.
    /// A daemon has no next owner for long, and brings what was begun to its end.
    pub(crate) fn block_on<T>(&self, work: impl Future<Output = Result<T, Stop>>) -> Result<T, Stop> {
        self.event_loop(async {
            match self.place {
                Place::Process => self.unless_abandoned(work).await,
                Place::Daemon(_) => work.await,
            }
        })
    }

    /// As [`Self::block_on`], for work that takes care of signals itself.
    pub(crate) fn event_loop<T>(&self, work: impl Future<Output = Result<T, Stop>>) -> Result<T, Stop> {
        match &self.place {
            Place::Process => run_on(&mut tokio::runtime::Builder::new_current_thread(), work),
            Place::Daemon(sent) => sent.command.runtime.block_on(work),
        }
    }

    /// Begins to listen for what asks a command to end: a signal; in a daemon, that nobody waits for it any more.
    pub(crate) fn signals(&self) -> Result<Signals<'_>, Stop> {
        match &self.place {
            Place::Daemon(sent) => Ok(Signals::Sent(&sent.command)),
            Place::Process => {
                let signals = ProcessSignals::new();
                Ok(Signals::Process(signals.map_err(|error| Failure::io("listen for signals", &error))?))
            }
        }
    }

    /// Waits for something that nothing hangs on, as long as the user waits for it.
    pub(crate) async fn unless_abandoned<T>(
        &self,
        work: impl Future<Output = Result<T, Stop>>,
    ) -> Result<T, Stop> {
        let mut signals = self.signals()?;
        tokio::select! {
            outcome = work => outcome,
            () = signals.received() => Err(interrupted().into()),
        }
    }

    /// Whether whoever leaves a command leaves what it has begun to a process that goes on.
    pub(crate) fn outlives_its_user(&self) -> bool {
        matches!(self.place, Place::Daemon(_))
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

impl Sent {
    async fn turn(&self) -> Result<Option<Turn>, Stop> {
        let Some(domain) = &self.domain else { return Ok(None) };
        self.command.turn(domain).await.map_err(|StillBusy| {
            let message = format!("another change of the domain '{domain}' goes on");
            let failure = Failure::new("domain.busy", Exit::Busy, message).about("domain", domain);
            failure.hint("see what goes on", Some(format!("hostler show {domain}"))).into()
        })
    }
}

/// What asks a command to end.
pub(crate) enum Signals<'a> {
    /// A signal to this process.
    Process(ProcessSignals),
    /// That the process that has sent it is gone.
    Sent(&'a hostler_serve::Command),
}

impl Signals<'_> {
    /// Waits for it.
    pub(crate) async fn received(&mut self) {
        match self {
            Self::Process(signals) => signals.received().await,
            Self::Sent(command) => command.abandoned().await,
        }
    }
}

/// The signals by which users and service managers ask a process to end. A hangup is not among them: it
/// ends the process by itself, and whoever started it with nohup wants it to go on.
pub(crate) struct ProcessSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl ProcessSignals {
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
