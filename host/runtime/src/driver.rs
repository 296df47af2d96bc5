//! A loaded driver, and how it is called: each call gets a fresh store and instance, which are dropped after it.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hostler_grant::{Granted, Manifest};
use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::Instrument as _;
use wasmtime::component::Resource;
use wasmtime::{Engine, Store};

use crate::activity::{Activity, Tally};
use crate::bindings::driver::DriverPre;
use crate::bindings::native_config::NativeConfigAbilityPre;
use crate::cache::CacheOutcome;
use crate::call::CallState;
use crate::context::DomainContext;
use crate::engine::Ticker;
use crate::error::{DriverIdentity, RuntimeError, RuntimeErrorKind};
use crate::fault;
use crate::interfaces::domain::{Domain, Subject};
use crate::interfaces::log::LogBudget;
use crate::limits::{self, Limits};
use crate::meter::Meter;
use crate::operation::Operation;
use crate::rates::TenantRates;

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
    pub(crate) driver: DriverPre<CallState>,
    pub(crate) native_config: Option<NativeConfigAbilityPre<CallState>>,
    pub(crate) engine: Engine,
    pub(crate) ticker: Ticker,
    pub(crate) limits: Limits,
    /// What a call has to have one of, when instances come from a pool.
    pub(crate) room: Option<Arc<Semaphore>>,
    pub(crate) path: PathBuf,
    pub(crate) size_bytes: u64,
    pub(crate) compiled: CacheOutcome,
    pub(crate) load_time: Duration,
}

impl Loaded {
    /// Waits until there is room for one more call, for at most the time that the call may take.
    async fn room(&self, wall: Duration) -> Result<Option<SemaphorePermit<'_>>, RuntimeError> {
        let Some(room) = &self.room else { return Ok(None) };
        let permit = tokio::time::timeout(wall, room.acquire()).await;
        // The semaphore is never closed, so that only time can run out.
        permit.ok().and_then(Result::ok).map(Some).ok_or_else(|| fault::too_slow(wall))
    }
}

/// The store of one call.
pub(crate) type CallStore = Store<CallState>;
/// What a call is doing, until it is done.
pub(crate) type Calling<'a, T> = Pin<Box<dyn Future<Output = wasmtime::Result<T>> + Send + 'a>>;

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

    /// Whether it can show a launch without launching.
    #[must_use]
    pub fn has_native_config(&self) -> bool {
        self.0.native_config.is_some()
    }

    /// Runs one operation to its end, or to its limits, and gives back the call's data as well.
    pub(crate) async fn call<T: Send>(
        &self,
        operation: Operation,
        context: Option<&DomainContext>,
        invoke: impl for<'a> FnOnce(&'a Loaded, &'a mut CallStore, Option<Resource<Domain>>) -> Calling<'a, T>
        + Send,
    ) -> Result<(T, CallState), RuntimeError> {
        let identity = &self.0.shared.identity;
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
        let called = self.call_within(operation, context, invoke).instrument(span).await;
        called.map_err(|error| error.of(identity).during(operation))
    }

    async fn call_within<T: Send>(
        &self,
        operation: Operation,
        context: Option<&DomainContext>,
        invoke: impl for<'a> FnOnce(&'a Loaded, &'a mut CallStore, Option<Resource<Domain>>) -> Calling<'a, T>
        + Send,
    ) -> Result<(T, CallState), RuntimeError> {
        let loaded = &*self.0;
        let _ticking = loaded.ticker.tick().map_err(|error| {
            RuntimeError::new(RuntimeErrorKind::Io, "the thread that watches deadlines cannot be made")
                .caused_by(error)
        })?;
        let wall = operation.wall(&loaded.limits);
        // Held until the store is gone, and its slot with it.
        let _room = loaded.room(wall).await?;
        let begun = Instant::now();
        let (mut store, meter) = self.store(operation, context, wall);
        let domain = domain_handle(&mut store).map_err(|error| fault::of_call(error, store.data()))?;
        let finished = {
            let call = async {
                // What earlier calls of this tenant used too much of is waited for by this one.
                loaded.shared.rates.wait().await;
                Arc::clone(&meter).count(invoke(loaded, &mut store, domain)).await
            };
            tokio::time::timeout(wall, call).await
        };
        let used = meter.settle();
        let (answer, mut state) = match finished {
            Ok(Ok(answer)) => (Ok(answer), store.into_data()),
            Ok(Err(error)) => (Err(fault::of_call(error, store.data())), store.into_data()),
            Err(_) => (Err(fault::too_slow(wall)), store.into_data()),
        };
        self.record(operation, &mut state, Tally::once(answer.is_err(), begun.elapsed()), used);
        answer.map(|answer| (answer, state))
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

    /// A fresh store under all limits. The deadlines are armed before anything of the driver runs.
    fn store(
        &self,
        operation: Operation,
        context: Option<&DomainContext>,
        wall: Duration,
    ) -> (CallStore, Arc<Meter>) {
        let loaded = &*self.0;
        let subject = context.map(|context| Arc::new(Subject::new(context.clone())));
        let memory = loaded.limits.memory_bytes.min(limits::MEMORY_BYTES);
        let state =
            CallState::new(Arc::clone(&loaded.shared), subject, operation, memory, Instant::now() + wall);
        let mut store = Store::new(&loaded.engine, state);
        store.limiter(|state| &mut state.memory);
        store.set_hostcall_fuel(limits::HOSTCALL_BYTES);
        store.set_max_component_handles(limits::RESOURCES);
        let meter = Arc::new(Meter::new(Arc::clone(&loaded.shared.rates)));
        meter.limit(&mut store, loaded.limits.cpu);
        (store, meter)
    }
}

/// The borrowed handle that the driver gets; the owning one stays in the store's table.
fn domain_handle(store: &mut CallStore) -> wasmtime::Result<Option<Resource<Domain>>> {
    let Some(subject) = store.data().subject.clone() else { return Ok(None) };
    let owned = store.data_mut().table.push(Domain(subject))?;
    Ok(Some(Resource::new_borrow(owned.rep())))
}
