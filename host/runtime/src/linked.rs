//! A driver that is compiled and linked to an implementation of the host's interfaces, and how it is asked.

use wasmtime::component::{Component, Linker, Resource};
use wasmtime::{Engine, Store};

use crate::bindings::driver::DriverPre;
use crate::bindings::native_config::NativeConfigAbilityPre;
use crate::call::{ContractViolation, MemoryLimit};
use crate::contract;
use crate::interfaces::domain::Domain;
use crate::limits;
use crate::meter::Meter;
use crate::request::{Reply, Request};

/// A driver linked to the host calls of `T`.
pub(crate) struct Linked<T: 'static> {
    driver: DriverPre<T>,
    native_config: Option<NativeConfigAbilityPre<T>>,
}

/// The data of a call, as far as the engine's limits look at it.
pub(crate) trait Limited {
    /// What its memories may take together.
    fn memory(&mut self) -> &mut MemoryLimit;
}

/// A fresh store under all limits. The deadlines are armed before anything of the driver runs.
pub(crate) fn limited_store<T: Limited + Send + 'static>(
    engine: &Engine,
    state: T,
    meter: &std::sync::Arc<Meter>,
    cpu: std::time::Duration,
) -> Store<T> {
    let mut store = Store::new(engine, state);
    store.limiter(|state| state.memory());
    store.set_hostcall_fuel(limits::HOSTCALL_BYTES);
    store.set_max_component_handles(limits::RESOURCES);
    meter.limit(&mut store, cpu);
    store
}

impl<T: Send + 'static> Linked<T> {
    /// # Errors
    /// The component's imports or exports are not those of the contract.
    pub(crate) fn new(engine: &Engine, linker: &Linker<T>, component: &Component) -> wasmtime::Result<Self> {
        let linked = linker.instantiate_pre(component)?;
        let native_config = contract::has_native_config(engine, component)
            .then(|| NativeConfigAbilityPre::new(linked.clone()))
            .transpose()?;
        Ok(Self { driver: DriverPre::new(linked)?, native_config })
    }

    /// Whether it can show a launch without launching.
    pub(crate) fn has_native_config(&self) -> bool {
        self.native_config.is_some()
    }

    /// Lets a fresh instance answer.
    ///
    /// # Errors
    /// Why it ended without an answer: see [`crate::fault`].
    pub(crate) async fn perform(
        &self,
        store: &mut Store<T>,
        domain: Option<Resource<Domain>>,
        request: &Request,
    ) -> wasmtime::Result<Reply> {
        if let Request::Show = request {
            let (Some(ability), Some(domain)) = (&self.native_config, domain) else {
                return Err(needs("native-config"));
            };
            let instance = ability.instantiate_async(&mut *store).await?;
            return instance.hostler_driver_native_config().call_show(store, domain).await.map(Reply::Done);
        }
        let instance = self.driver.instantiate_async(&mut *store).await?;
        let lifecycle = instance.hostler_driver_lifecycle();
        match request {
            Request::Describe => {
                return instance.hostler_driver_about().call_describe(store).await.map(Reply::Described);
            }
            Request::RecoveryComplete => {
                let told = lifecycle.call_recovery_complete(store).await;
                return told.map(|()| Reply::Done(Ok(())));
            }
            _ => {}
        }
        let domain = domain.ok_or_else(|| needs("an operation"))?;
        match request {
            Request::Check => lifecycle.call_check(store, domain).await.map(Reply::Document),
            Request::Start(options) => lifecycle.call_start(store, domain, options).await.map(Reply::Done),
            Request::Shutdown => lifecycle.call_shutdown(store, domain).await.map(Reply::Done),
            Request::Destroy => lifecycle.call_destroy(store, domain).await.map(Reply::Done),
            Request::Suspend => lifecycle.call_suspend(store, domain).await.map(Reply::Done),
            Request::Resume => lifecycle.call_resume(store, domain).await.map(Reply::Done),
            Request::Reset => lifecycle.call_reset(store, domain).await.map(Reply::Done),
            Request::Query => lifecycle.call_query(store, domain).await.map(Reply::State),
            Request::Reattach => lifecycle.call_reattach(store, domain).await.map(Reply::State),
            Request::OnEvent(event) => lifecycle.call_on_event(store, domain, event).await.map(Reply::Done),
            Request::Describe | Request::RecoveryComplete | Request::Show => Err(needs("this operation")),
        }
    }
}

fn needs(what: &str) -> wasmtime::Error {
    ContractViolation(format!("{what} needs a domain")).into()
}
