//! A loaded driver, and how it is called: each call gets a fresh store and instance, which are dropped after it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hostler_grant::{Granted, Manifest};
use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::Instrument as _;
use wasmtime::Engine;
use wasmtime::component::Resource;

use crate::activity::{Activity, Tally};
use crate::cache::CacheOutcome;
use crate::call::CallState;
use crate::context::DomainContext;
use crate::engine::Ticker;
use crate::error::{DriverIdentity, RuntimeError, RuntimeErrorKind};
use crate::fault;
use crate::interfaces::domain::{Domain, Subject};
use crate::interfaces::log::LogBudget;
use crate::limits::{InstanceLimits, Limits};
use crate::linked::Abilities;
use crate::linked::{Linked, limited_store};
use crate::meter::Meter;
use crate::operation::Operation;
use crate::rates::TenantRates;
use crate::request::{Reply, Request};
use crate::worker::frame::Asked;
use crate::worker::pool::Workers;

/// What every call of a driver shares.
pub(crate) struct Shared {
    pub(crate) identity: DriverIdentity,
    pub(crate) manifest: Manifest,
    pub(crate) granted: Granted,
    pub(crate) log: Mutex<LogBudget>,
    pub(crate) rates: Arc<TenantRates>,
    pub(crate) activity: Mutex<Activity>,
}

/// A driver that is compiled, linked and ready. Cheap to clone; may be used from several tasks at once.
///
/// A call that traps or passes a deadline loses nothing but itself: the next one works as before.
#[derive(Clone)]
pub struct Driver(pub(crate) Arc<Loaded>);

pub(crate) struct Loaded {
    pub(crate) shared: Arc<Shared>,
    pub(crate) abilities: Abilities,
    pub(crate) place: Place,
    pub(crate) limits: Limits,
    pub(crate) path: PathBuf,
    pub(crate) size_bytes: u64,
    pub(crate) compiled: CacheOutcome,
    pub(crate) load_time: Duration,
}

/// Where a driver's code runs.
pub(crate) enum Place {
    /// In this process.
    Here(Box<Here>),
    /// In processes of its own.
    Apart(Box<Workers>),
}

/// What it takes to run a driver in this process.
pub(crate) struct Here {
    pub(crate) linked: Linked<CallState>,
    pub(crate) engine: Engine,
    pub(crate) ticker: Ticker,
    /// What a call has to have one of, when instances come from a pool.
    pub(crate) room: Option<Arc<Semaphore>>,
}

/// How a call went, and what it has used of the processor.
struct Called {
    answer: Result<Reply, RuntimeError>,
    state: CallState,
    cpu: Duration,
}

impl Here {
    /// Waits until there is room for one more call, for at most the time that the call may take.
    async fn room(&self, wall: Duration) -> Result<Option<SemaphorePermit<'_>>, RuntimeError> {
        let Some(room) = &self.room else { return Ok(None) };
        let permit = tokio::time::timeout(wall, room.acquire()).await;
        // The semaphore is never closed, so that only time can run out.
        permit.ok().and_then(Result::ok).map(Some).ok_or_else(|| fault::too_slow(wall))
    }
}

impl Driver {
    /// What it is called and what it asks for.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.0.shared.manifest
    }

    /// Name, version and digest.
    #[must_use]
    pub fn identity(&self) -> &DriverIdentity {
        &self.0.shared.identity
    }

    /// The component's digest: `sha256:` and 64 hexadecimal digits.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.0.shared.identity.digest
    }

    /// What it may do.
    #[must_use]
    pub fn granted(&self) -> &Granted {
        &self.0.shared.granted
    }

    /// The file it was loaded from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Size of the component, in bytes.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.0.size_bytes
    }

    /// Whether its machine code was found or had to be made.
    #[must_use]
    pub fn compiled(&self) -> CacheOutcome {
        self.0.compiled
    }

    /// How long loading took: reading, checking, compiling or fetching, linking.
    #[must_use]
    pub fn load_time(&self) -> Duration {
        self.0.load_time
    }

    /// The optional interfaces that it has and this host makes use of, by their names.
    #[must_use]
    pub fn abilities(&self) -> Vec<&'static str> {
        let Abilities {
            native_config,
            save,
            screen,
            reboot,
            dump,
            statistics,
            hotplug,
            block_jobs,
            snapshots,
            migration,
            sizing,
            upkeep,
        } = self.0.abilities;
        let known = [
            ("native-config", native_config),
            ("save", save),
            ("screen", screen),
            ("reboot", reboot),
            ("dump", dump),
            ("statistics", statistics),
            ("hotplug", hotplug),
            ("block-jobs", block_jobs),
            ("snapshots", snapshots),
            ("migration", migration),
            ("sizing", sizing),
            ("upkeep", upkeep),
        ];
        known.into_iter().filter_map(|(name, has)| has.then_some(name)).collect()
    }

    /// Whether it has an optional interface, by its name.
    #[must_use]
    pub fn has(&self, ability: &str) -> bool {
        self.abilities().contains(&ability)
    }

    /// Whether it can show a launch without launching.
    #[must_use]
    pub fn has_native_config(&self) -> bool {
        self.0.abilities.native_config
    }

    /// Whether it can show what a guest shows, and press its keys.
    #[must_use]
    pub fn has_screen(&self) -> bool {
        self.0.abilities.screen
    }

    /// Whether it can put a guest away and bring it back.
    #[must_use]
    pub fn has_save(&self) -> bool {
        self.0.abilities.save
    }

    /// Runs one operation to its end, or to its limits, and gives back the call's data as well.
    pub(crate) async fn call(
        &self,
        context: Option<&DomainContext>,
        request: Request,
    ) -> Result<(Reply, CallState), RuntimeError> {
        let identity = &self.0.shared.identity;
        let operation = request.operation();
        let domain = context.map(|context| context.name.as_str()).unwrap_or_default();
        let span = tracing::info_span!(
            "driver_call",
            driver = identity.name,
            version = identity.version,
            operation = operation.name(),
            domain,
            tenant = self.0.shared.granted.tenant,
            host_calls = tracing::field::Empty,
            host_time_us = tracing::field::Empty,
            cpu_us = tracing::field::Empty,
        );
        let called = self.call_within(context, request).instrument(span).await;
        called.map_err(|error| error.of(identity).during(operation))
    }

    async fn call_within(
        &self,
        context: Option<&DomainContext>,
        request: Request,
    ) -> Result<(Reply, CallState), RuntimeError> {
        let loaded = &*self.0;
        let (operation, begun) = (request.operation(), Instant::now());
        let wall = operation.wall(&loaded.limits);
        let subject = context.map(|context| Arc::new(Subject::new(context.clone())));
        let instance = loaded.limits.instance.within(&InstanceLimits::default());
        let mut state =
            CallState::new(Arc::clone(&loaded.shared), subject, operation, instance, begun + wall);
        let domain = domain_place(&mut state).map_err(|error| fault::of_call(error, &state))?;
        let Called { answer, mut state, cpu } = match &loaded.place {
            Place::Here(here) => self.call_here(here, state, domain, &request, wall).await?,
            Place::Apart(workers) => self.call_apart(workers, state, Asked { domain, request }, wall).await,
        };
        self.record(operation, &mut state, Tally::once(answer.is_err(), begun.elapsed()), cpu);
        answer.map(|answer| (answer, state))
    }

    async fn call_here(
        &self,
        here: &Here,
        mut state: CallState,
        domain: Option<u32>,
        request: &Request,
        wall: Duration,
    ) -> Result<Called, RuntimeError> {
        let _ticking = here.ticker.tick().map_err(|error| {
            RuntimeError::new(RuntimeErrorKind::Io, "the thread that watches deadlines cannot be made")
                .caused_by(error)
        })?;
        // Held until the store is gone, and its slot with it.
        let _room = here.room(wall).await?;
        state.deadline = Instant::now() + wall;
        let meter = Arc::new(Meter::new(Some(Arc::clone(&self.0.shared.rates))));
        let mut store = limited_store(&here.engine, state, &meter, self.0.limits.cpu);
        // Borrowed: the owning handle stays in the call's table.
        let domain = domain.map(Resource::new_borrow);
        let finished = {
            let call = async {
                // What earlier calls of this tenant used too much of is waited for by this one.
                self.0.shared.rates.wait().await;
                Arc::clone(&meter).count(here.linked.perform(&mut store, domain, request)).await
            };
            tokio::time::timeout(wall, call).await
        };
        let cpu = meter.settle();
        let answer = match finished {
            Ok(answered) => answered.map_err(|error| fault::of_call(error, store.data())),
            Err(_) => Err(fault::too_slow(wall)),
        };
        Ok(Called { answer, state: store.into_data(), cpu })
    }

    async fn call_apart(
        &self,
        workers: &Workers,
        mut state: CallState,
        asked: Asked,
        wall: Duration,
    ) -> Called {
        let meter = Arc::new(Meter::new(Some(Arc::clone(&self.0.shared.rates))));
        let call = async {
            self.0.shared.rates.wait().await;
            workers.perform(&mut state, &asked, &meter).await
        };
        let timed = tokio::time::timeout(wall, call).await;
        let answer = timed.unwrap_or_else(|_| Err(fault::too_slow(wall)));
        Called { answer, state, cpu: meter.settle() }
    }

    /// Adds a finished call to what the driver did, and to its span.
    fn record(&self, operation: Operation, state: &mut CallState, done: Tally, cpu: Duration) {
        let activity = std::mem::take(&mut state.activity);
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        tracing::Span::current()
            .record("host_calls", activity.host_calls())
            .record("host_time_us", micros(activity.host_time()))
            .record("cpu_us", micros(cpu));
        let mut sum = self.0.shared.activity.lock().unwrap_or_else(PoisonError::into_inner);
        activity.add_to(&mut sum, operation.name(), done, cpu);
    }

    /// What the driver did since this was last called.
    #[must_use]
    pub fn take_activity(&self) -> Activity {
        std::mem::take(&mut *self.0.shared.activity.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The place of the domain's handle in the call's table, where it stays until the call is over.
fn domain_place(state: &mut CallState) -> wasmtime::Result<Option<u32>> {
    let Some(subject) = state.subject.clone() else { return Ok(None) };
    Ok(Some(state.table.push(Domain(subject))?.rep()))
}
