//! The engine, the cache and the linked host interfaces: what drivers are loaded into.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use hostler_grant::{Policy, Signatures, Tenant};
use hostler_package::Package;
use tokio::sync::Semaphore;
use wasmtime::Engine;
use wasmtime::component::{Component, HasSelf, Linker};

use crate::bindings::driver::Driver as World;
use crate::cache::Cache;
use crate::call::CallState;
use crate::component::{self, ComponentFile};
use crate::contract;
use crate::driver::{Driver, Here, Loaded, Place, Shared};
use crate::engine::{self, Allocation, Ticker};
use crate::error::{DriverIdentity, RuntimeError, RuntimeErrorKind};
use crate::interfaces::log::LogBudget;
use crate::limits::{self, Limits};
use crate::linked::Linked;
use crate::rates::Rates;
use crate::settings::TenantLimits;
use crate::worker::artifact;
use crate::worker::pool::Workers;
use crate::worker::process::Starter;

/// How a runtime is set up.
#[derive(Clone, Debug, Default)]
pub struct RuntimeConfig {
    /// Where compiled drivers are kept; made when absent. None: each process compiles anew.
    pub cache_dir: Option<PathBuf>,
    /// What drivers may use where the policy does not say another.
    pub limits: Limits,
    /// Where the memory of instances comes from.
    pub allocation: Allocation,
    /// Stack of guest code, in bytes; none, or more than that: [`limits::STACK_BYTES`].
    pub stack_bytes: Option<usize>,
    /// What the tenant may use whose drivers these are.
    pub tenant_limits: TenantLimits,
    /// The program that compiles drivers, in a bounded process: it calls [`crate::compile_here`] when its one
    /// argument is [`crate::COMPILE_ARGUMENT`]. None, or no cache: drivers are compiled in this process.
    pub compiler: Option<PathBuf>,
    /// The program that runs drivers, in processes of their own for each driver of each tenant: it calls
    /// [`crate::work_here`] when its one argument is [`crate::WORK_ARGUMENT`], and must be of the same build as this
    /// one. None: drivers run in this process. With workers, operations need an async runtime with I/O enabled.
    pub worker: Option<PathBuf>,
}

/// What drivers are loaded into. One for each process.
pub struct Runtime {
    engine: Engine,
    linker: Linker<CallState>,
    ticker: Ticker,
    cache: Option<Cache>,
    limits: Limits,
    tenant_limits: TenantLimits,
    rates: Rates,
    compiler: Option<PathBuf>,
    /// As many permits as the pool has room for calls.
    room: Option<Arc<Semaphore>>,
    /// Stack of guest code.
    stack_bytes: usize,
    starter: Option<Arc<Starter>>,
}

impl Runtime {
    /// Sets up engine, host interfaces and cache. Takes well below a millisecond.
    ///
    /// # Errors
    /// [`RuntimeErrorKind::Cache`] when others could write to the cache; [`RuntimeErrorKind::Io`] when this
    /// processor cannot run what is compiled for it.
    pub fn new(config: RuntimeConfig) -> Result<Self, RuntimeError> {
        let failed = |error: wasmtime::Error| {
            RuntimeError::new(RuntimeErrorKind::Io, "the engine for drivers cannot be set up")
                .caused_by(error.into_boxed_dyn_error())
        };
        let stack_bytes = config.stack_bytes.unwrap_or(limits::STACK_BYTES);
        let engine = engine::engine(config.allocation, stack_bytes).map_err(failed)?;
        let mut linker = Linker::new(&engine);
        World::add_to_linker::<_, HasSelf<CallState>>(&mut linker, |state| state).map_err(failed)?;
        let cache = config.cache_dir.as_deref().map(Cache::open).transpose()?;
        Ok(Self {
            ticker: Ticker::new(engine.clone()),
            engine,
            linker,
            cache,
            limits: config.limits,
            tenant_limits: config.tenant_limits,
            rates: Rates::default(),
            compiler: config.compiler,
            room: config
                .allocation
                .calls()
                .map(|calls| Arc::new(Semaphore::new(usize::try_from(calls).unwrap_or(1)))),
            stack_bytes,
            starter: config.worker.map(|program| Arc::new(Starter::new(program))),
        })
    }

    /// The digest of a component, as [`hostler_package::digest`] has it: what the cache has recorded of these very bytes,
    /// or else computed.
    #[must_use]
    pub fn digest(&self, component: &[u8]) -> String {
        match &self.cache {
            Some(cache) => cache.digest_of(component),
            None => hostler_package::digest(component),
        }
    }

    /// Loads a driver from its file, with the signatures beside it.
    ///
    /// # Errors
    /// As [`Runtime::load_package`].
    pub fn load(&self, path: &Path, policy: &Policy, tenant: &Tenant) -> Result<Driver, RuntimeError> {
        let package = Package::from_file_digested(path, |bytes| self.digest(bytes));
        self.load_package(&package.map_err(component::refused)?, policy, tenant)
    }

    /// Loads a driver that was read: it is judged and held against the policy before anything of it is compiled, and
    /// the bytes that were judged are those that are compiled.
    ///
    /// # Errors
    /// [`RuntimeErrorKind::Load`] when it is no driver, [`RuntimeErrorKind::Contract`] when it is made for a
    /// contract that this host does not offer, [`RuntimeErrorKind::Denied`] when the policy refuses it.
    pub fn load_package(
        &self,
        package: &Package,
        policy: &Policy,
        tenant: &Tenant,
    ) -> Result<Driver, RuntimeError> {
        let begun = Instant::now();
        let path = &package.path;
        let span = tracing::info_span!("load_driver", path = %path.display());
        let _entered = span.enter();
        let file = ComponentFile::of(package)?;
        // Without keys in the policy nobody asks for signatures, and those that cannot be read do no harm.
        let signatures = if policy.signers.is_empty() {
            Signatures::default()
        } else {
            package.signatures().map_err(component::refused)?
        };
        let granted =
            hostler_grant::grant(&file.manifest, &file.identity.digest, &signatures, policy, tenant)
                .map_err(|error| contract::refused(error).of(&file.identity))?;
        let (component, compiled) =
            file.compile(&self.engine, self.cache.as_ref(), self.compiler.as_deref())?;
        let linked = Linked::new(&self.engine, &self.linker, &component).map_err(|error| {
            RuntimeError::new(
                RuntimeErrorKind::Contract,
                "the driver's imports or exports are not those of the contract",
            )
            .hint("rebuild it with the SDK of this version of hostler")
            .caused_by(error.into_boxed_dyn_error())
            .of(&file.identity)
        })?;
        let size_bytes = file.size();
        let said = policy.limits_for(&file.manifest.name);
        let limits = self.limits.with(&said, &policy.rates, &self.tenant_limits);
        let log = Mutex::new(LogBudget::new(&limits));
        let rates = self.rates.of(&tenant.name, &limits);
        let activity = Mutex::default();
        let abilities = linked.abilities();
        let place = self.place(linked, &component, &file.identity, tenant, limits)?;
        let shared =
            Shared { identity: file.identity, manifest: file.manifest, granted, log, rates, activity };
        Ok(Driver(Arc::new(Loaded {
            shared: Arc::new(shared),
            abilities,
            place,
            limits,
            path: path.to_owned(),
            size_bytes,
            compiled,
            load_time: begun.elapsed(),
        })))
    }

    /// Where the driver will run. It was linked here in any case, so that one that does not fit is refused here.
    fn place(
        &self,
        linked: Linked<CallState>,
        component: &Component,
        identity: &DriverIdentity,
        tenant: &Tenant,
        limits: Limits,
    ) -> Result<Place, RuntimeError> {
        let Some(starter) = &self.starter else {
            let (engine, ticker, room) = (self.engine.clone(), self.ticker.clone(), self.room.clone());
            return Ok(Place::Here(Box::new(Here { linked, engine, ticker, room })));
        };
        let sealed = artifact::sealed(component).map_err(|error| {
            let message = "the driver's machine code cannot be handed to a process of its own";
            RuntimeError::new(RuntimeErrorKind::Io, message).caused_by(error).of(identity)
        })?;
        let key = format!("driver {} of tenant {}", identity.name, tenant.name);
        Ok(Place::Apart(Box::new(Workers::new(Arc::clone(starter), sealed, key, limits, self.stack_bytes))))
    }
}
