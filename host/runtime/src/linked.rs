//! A driver that is compiled and linked to an implementation of the host's interfaces, and how it is asked.

use wasmtime::component::{Component, Linker, Resource};
use wasmtime::{Engine, Store};

use crate::bindings::block_jobs::BlockJobsAbilityPre;
use crate::bindings::driver::DriverPre;
use crate::bindings::dump::DumpAbilityPre;
use crate::bindings::hotplug::HotplugAbilityPre;
use crate::bindings::migration::MigrationAbilityPre;
use crate::bindings::native_config::NativeConfigAbilityPre;
use crate::bindings::reboot::RebootAbilityPre;
use crate::bindings::save::SaveAbilityPre;
use crate::bindings::screen::ScreenAbilityPre;
use crate::bindings::sizing::SizingAbilityPre;
use crate::bindings::snapshots::SnapshotsAbilityPre;
use crate::bindings::statistics::StatisticsAbilityPre;
use crate::bindings::upkeep::UpkeepAbilityPre;
use crate::call::{ContractViolation, MemoryLimit};
use crate::contract;
use crate::interfaces::domain::Domain;
use crate::meter::Meter;
use crate::request::{
    AskedReport, Change, DumpWish, Keys, NewSize, NewSpeed, Question, Reply, Request, Return, Threshold,
};

/// A driver linked to the host calls of `T`.
pub(crate) struct Linked<T: 'static> {
    driver: DriverPre<T>,
    native_config: Option<NativeConfigAbilityPre<T>>,
    save: Option<SaveAbilityPre<T>>,
    screen: Option<ScreenAbilityPre<T>>,
    reboot: Option<RebootAbilityPre<T>>,
    dump: Option<DumpAbilityPre<T>>,
    statistics: Option<StatisticsAbilityPre<T>>,
    hotplug: Option<HotplugAbilityPre<T>>,
    block_jobs: Option<BlockJobsAbilityPre<T>>,
    snapshots: Option<SnapshotsAbilityPre<T>>,
    migration: Option<MigrationAbilityPre<T>>,
    sizing: Option<SizingAbilityPre<T>>,
    upkeep: Option<UpkeepAbilityPre<T>>,
}

/// The optional interfaces that a driver has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Abilities {
    pub(crate) native_config: bool,
    pub(crate) save: bool,
    pub(crate) screen: bool,
    pub(crate) reboot: bool,
    pub(crate) dump: bool,
    pub(crate) statistics: bool,
    pub(crate) hotplug: bool,
    pub(crate) block_jobs: bool,
    pub(crate) snapshots: bool,
    pub(crate) migration: bool,
    pub(crate) sizing: bool,
    pub(crate) upkeep: bool,
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
    let mut state = state;
    let limits = state.memory().limits;
    let mut store = Store::new(engine, state);
    store.limiter(|state| state.memory());
    store.set_hostcall_fuel(limits.hostcall_bytes);
    store.set_max_component_handles(limits.handles);
    meter.limit(&mut store, cpu);
    store
}

impl<T: Send + 'static> Linked<T> {
    /// # Errors
    /// The component's imports or exports are not those of the contract.
    pub(crate) fn new(engine: &Engine, linker: &Linker<T>, component: &Component) -> wasmtime::Result<Self> {
        let linked = linker.instantiate_pre(component)?;
        let has = |interface| contract::has_ability(engine, component, interface);
        let native_config =
            has("native-config").then(|| NativeConfigAbilityPre::new(linked.clone())).transpose()?;
        let save = has("save").then(|| SaveAbilityPre::new(linked.clone())).transpose()?;
        let screen = has("screen").then(|| ScreenAbilityPre::new(linked.clone())).transpose()?;
        let reboot = has("reboot").then(|| RebootAbilityPre::new(linked.clone())).transpose()?;
        let dump = has("dump").then(|| DumpAbilityPre::new(linked.clone())).transpose()?;
        let statistics = has("statistics").then(|| StatisticsAbilityPre::new(linked.clone())).transpose()?;
        let hotplug = has("hotplug").then(|| HotplugAbilityPre::new(linked.clone())).transpose()?;
        let block_jobs = has("block-jobs").then(|| BlockJobsAbilityPre::new(linked.clone())).transpose()?;
        let snapshots = has("snapshots").then(|| SnapshotsAbilityPre::new(linked.clone())).transpose()?;
        let migration = has("migration").then(|| MigrationAbilityPre::new(linked.clone())).transpose()?;
        let sizing = has("sizing").then(|| SizingAbilityPre::new(linked.clone())).transpose()?;
        let upkeep = has("upkeep").then(|| UpkeepAbilityPre::new(linked.clone())).transpose()?;
        let driver = DriverPre::new(linked)?;
        Ok(Self {
            driver,
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
        })
    }

    /// The optional interfaces that it has.
    pub(crate) fn abilities(&self) -> Abilities {
        Abilities {
            native_config: self.native_config.is_some(),
            save: self.save.is_some(),
            screen: self.screen.is_some(),
            reboot: self.reboot.is_some(),
            dump: self.dump.is_some(),
            statistics: self.statistics.is_some(),
            hotplug: self.hotplug.is_some(),
            block_jobs: self.block_jobs.is_some(),
            snapshots: self.snapshots.is_some(),
            migration: self.migration.is_some(),
            sizing: self.sizing.is_some(),
            upkeep: self.upkeep.is_some(),
        }
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
        match request {
            Request::Show => return self.show(store, domain).await,
            Request::Save(_) | Request::Restore(_) | Request::AbandonSave => {
                return self.save(store, domain, request).await;
            }
            Request::TakePicture(_) | Request::PressKeys(_) => {
                return self.screen(store, domain, request).await;
            }
            Request::Reboot => return self.reboot(store, domain).await,
            Request::Dump(wish) => return self.dump(store, domain, wish).await,
            Request::ReadStatistics => return self.statistics(store, domain).await,
            Request::Attach(_) | Request::Detach(_) | Request::UpdateDevice(_) | Request::SettleDevice(_) => {
                return self.hotplug(store, domain, request).await;
            }
            Request::BeginBlockJob(_)
            | Request::ReportBlockJob(_)
            | Request::CompleteBlockJob(_)
            | Request::CancelBlockJob(_)
            | Request::SettleBlockJob(_)
            | Request::SetJobSpeed(_)
            | Request::PrepareBlockJob(_)
            | Request::ResizeDisk(_) => return self.block_jobs(store, domain, request).await,
            Request::Overlay(_)
            | Request::SettleOverlay(_)
            | Request::Keep(_)
            | Request::SettleKeep(_)
            | Request::Forget(_)
            | Request::BringBack(_)
            | Request::OverlayWithMemory(_) => return self.snapshots(store, domain, request).await,
            Request::ReadAmounts | Request::SetMemory(_) | Request::SetVcpus(_) => {
                return self.sizing(store, domain, request).await;
            }
            Request::Ask(_)
            | Request::Interrupt
            | Request::Wake
            | Request::CountMemory(_)
            | Request::WatchWrites(_)
            | Request::MeasureWrites(_) => return self.upkeep(store, domain, request).await,
            Request::BeginMigration(_)
            | Request::ReportMigration(_)
            | Request::AbandonMigration
            | Request::PrepareGuest(_)
            | Request::ReceiveGuest => return self.migration(store, domain, request).await,
            _ => {}
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
            _ => Err(needs("this operation")),
        }
    }

    async fn show(&self, store: &mut Store<T>, domain: Option<Resource<Domain>>) -> wasmtime::Result<Reply> {
        let (Some(ability), Some(domain)) = (&self.native_config, domain) else {
            return Err(needs("native-config"));
        };
        let instance = ability.instantiate_async(&mut *store).await?;
        instance.hostler_driver_native_config().call_show(store, domain).await.map(Reply::Done)
    }

    async fn save(
        &self,
        store: &mut Store<T>,
        domain: Option<Resource<Domain>>,
        request: &Request,
    ) -> wasmtime::Result<Reply> {
        let (Some(ability), Some(domain)) = (&self.save, domain) else { return Err(needs("save")) };
        let instance = ability.instantiate_async(&mut *store).await?;
        let save = instance.hostler_driver_save();
        let done = match request {
            Request::Save(options) => save.call_save(store, domain, options).await,
            Request::Restore(options) => save.call_restore(store, domain, options).await,
            _ => save.call_abandon(store, domain).await,
        };
        done.map(Reply::Done)
    }

    async fn reboot(
        &self,
        store: &mut Store<T>,
        domain: Option<Resource<Domain>>,
    ) -> wasmtime::Result<Reply> {
        let (Some(ability), Some(domain)) = (&self.reboot, domain) else { return Err(needs("reboot")) };
        let instance = ability.instantiate_async(&mut *store).await?;
        instance.hostler_driver_reboot().call_reboot(store, domain).await.map(Reply::Done)
    }

    async fn dump(
        &self,
        store: &mut Store<T>,
        domain: Option<Resource<Domain>>,
        DumpWish { format, options }: &DumpWish,
    ) -> wasmtime::Result<Reply> {
        let (Some(ability), Some(domain)) = (&self.dump, domain) else { return Err(needs("dump")) };
        let instance = ability.instantiate_async(&mut *store).await?;
        instance.hostler_driver_dump().call_dump(store, domain, format, options).await.map(Reply::Done)
    }

    async fn statistics(
        &self,
        store: &mut Store<T>,
        domain: Option<Resource<Domain>>,
    ) -> wasmtime::Result<Reply> {
        let (Some(ability), Some(domain)) = (&self.statistics, domain) else {
            return Err(needs("statistics"));
        };
        let instance = ability.instantiate_async(&mut *store).await?;
        instance.hostler_driver_statistics().call_read(store, domain).await.map(Reply::Facts)
    }

    async fn block_jobs(
        &self,
        store: &mut Store<T>,
        domain: Option<Resource<Domain>>,
        request: &Request,
    ) -> wasmtime::Result<Reply> {
        let (Some(ability), Some(domain)) = (&self.block_jobs, domain) else {
            return Err(needs("block-jobs"));
        };
        let instance = ability.instantiate_async(&mut *store).await?;
        let jobs = instance.hostler_driver_block_jobs();
        let done = match request {
            Request::ReportBlockJob(AskedReport { job, timeout_ms }) => {
                return jobs.call_report(store, domain, job, *timeout_ms).await.map(Reply::Reported);
            }
            Request::PrepareBlockJob(job) => jobs.call_prepare(store, domain, job).await,
            Request::BeginBlockJob(job) => jobs.call_begin(store, domain, job).await,
            Request::CompleteBlockJob(job) => jobs.call_complete(store, domain, job).await,
            Request::CancelBlockJob(job) => jobs.call_cancel(store, domain, job).await,
            Request::SettleBlockJob(job) => jobs.call_settle(store, domain, job).await,
            Request::SetJobSpeed(NewSpeed { job, bandwidth }) => {
                jobs.call_set_speed(store, domain, job, *bandwidth).await
            }
            Request::ResizeDisk(NewSize { target, bytes }) => {
                jobs.call_resize(store, domain, target, *bytes).await
            }
            _ => return Err(needs("this operation")),
        };
        done.map(Reply::Done)
    }

    async fn screen(
        &self,
        store: &mut Store<T>,
        domain: Option<Resource<Domain>>,
        request: &Request,
    ) -> wasmtime::Result<Reply> {
        let (Some(ability), Some(domain)) = (&self.screen, domain) else { return Err(needs("screen")) };
        let instance = ability.instantiate_async(&mut *store).await?;
        let screen = instance.hostler_driver_screen();
        match request {
            Request::TakePicture(display) => {
                screen.call_take(store, domain, *display).await.map(Reply::Document)
            }
            Request::PressKeys(Keys { keys, hold_ms }) => {
                screen.call_press(store, domain, keys, *hold_ms).await.map(Reply::Done)
            }
            _ => Err(needs("this operation")),
        }
    }
}

impl<T: Send + 'static> Linked<T> {
    async fn snapshots(
        &self,
        store: &mut Store<T>,
        domain: Option<Resource<Domain>>,
        request: &Request,
    ) -> wasmtime::Result<Reply> {
        let (Some(ability), Some(domain)) = (&self.snapshots, domain) else { return Err(needs("snapshots")) };
        let instance = ability.instantiate_async(&mut *store).await?;
        let snapshots = instance.hostler_driver_snapshots();
        let done = match request {
            Request::SettleOverlay(targets) => {
                return snapshots.call_settle(store, domain, targets).await.map(Reply::Whether);
            }
            Request::SettleKeep(kept) => {
                return snapshots.call_settle_keep(store, domain, kept).await.map(Reply::Whether);
            }
            Request::Overlay(targets) => snapshots.call_overlay(store, domain, targets).await,
            Request::OverlayWithMemory(targets) => {
                snapshots.call_overlay_with_memory(store, domain, targets).await
            }
            Request::Keep(kept) => snapshots.call_keep(store, domain, kept).await,
            Request::Forget(kept) => snapshots.call_forget(store, domain, kept).await,
            Request::BringBack(Return { kept, options }) => {
                snapshots.call_bring_back(store, domain, kept, options).await
            }
            _ => return Err(needs("this operation")),
        };
        done.map(Reply::Done)
    }

    async fn hotplug(
        &self,
        store: &mut Store<T>,
        domain: Option<Resource<Domain>>,
        request: &Request,
    ) -> wasmtime::Result<Reply> {
        let (Some(ability), Some(domain)) = (&self.hotplug, domain) else { return Err(needs("hotplug")) };
        let instance = ability.instantiate_async(&mut *store).await?;
        let hotplug = instance.hostler_driver_hotplug();
        match request {
            Request::Attach(device) => hotplug.call_attach(store, domain, *device).await.map(Reply::Done),
            Request::Detach(device) => hotplug.call_detach(store, domain, *device).await.map(Reply::Presence),
            Request::UpdateDevice(Change { device, options }) => {
                hotplug.call_update(store, domain, *device, options).await.map(Reply::Done)
            }
            Request::SettleDevice(device) => {
                hotplug.call_settle(store, domain, *device).await.map(Reply::Presence)
            }
            _ => Err(needs("this operation")),
        }
    }
}

impl<T: Send + 'static> Linked<T> {
    async fn migration(
        &self,
        store: &mut Store<T>,
        domain: Option<Resource<Domain>>,
        request: &Request,
    ) -> wasmtime::Result<Reply> {
        let (Some(ability), Some(domain)) = (&self.migration, domain) else { return Err(needs("migration")) };
        let instance = ability.instantiate_async(&mut *store).await?;
        let migration = instance.hostler_driver_migration();
        let done = match request {
            Request::ReportMigration(timeout_ms) => {
                return migration.call_report(store, domain, *timeout_ms).await.map(Reply::MigrationReported);
            }
            Request::BeginMigration(options) => migration.call_begin(store, domain, options).await,
            Request::AbandonMigration => migration.call_abandon(store, domain).await,
            Request::PrepareGuest(options) => migration.call_prepare(store, domain, options).await,
            Request::ReceiveGuest => migration.call_receive(store, domain).await,
            _ => return Err(needs("this operation")),
        };
        done.map(Reply::Done)
    }
}

impl<T: Send + 'static> Linked<T> {
    async fn sizing(
        &self,
        store: &mut Store<T>,
        domain: Option<Resource<Domain>>,
        request: &Request,
    ) -> wasmtime::Result<Reply> {
        let (Some(ability), Some(domain)) = (&self.sizing, domain) else { return Err(needs("sizing")) };
        let instance = ability.instantiate_async(&mut *store).await?;
        let sizing = instance.hostler_driver_sizing();
        let amounts = match request {
            Request::ReadAmounts => sizing.call_read(store, domain).await,
            Request::SetMemory(bytes) => sizing.call_set_memory(store, domain, *bytes).await,
            Request::SetVcpus(count) => sizing.call_set_vcpus(store, domain, *count).await,
            _ => return Err(needs("this operation")),
        };
        amounts.map(Reply::Amounts)
    }

    async fn upkeep(
        &self,
        store: &mut Store<T>,
        domain: Option<Resource<Domain>>,
        request: &Request,
    ) -> wasmtime::Result<Reply> {
        let (Some(ability), Some(domain)) = (&self.upkeep, domain) else { return Err(needs("upkeep")) };
        let instance = ability.instantiate_async(&mut *store).await?;
        let upkeep = instance.hostler_driver_upkeep();
        let done = match request {
            Request::Ask(Question { name, arguments }) => {
                return upkeep.call_ask(store, domain, name, arguments).await.map(Reply::Document);
            }
            Request::Interrupt => upkeep.call_interrupt(store, domain).await,
            Request::Wake => upkeep.call_wake(store, domain).await,
            Request::CountMemory(seconds) => upkeep.call_count_memory(store, domain, *seconds).await,
            Request::WatchWrites(Threshold { target, layer, bytes }) => {
                upkeep.call_watch_writes(store, domain, target, *layer, *bytes).await
            }
            Request::MeasureWrites(seconds) => upkeep.call_measure_writes(store, domain, *seconds).await,
            _ => return Err(needs("this operation")),
        };
        done.map(Reply::Done)
    }
}

fn needs(what: &str) -> wasmtime::Error {
    ContractViolation(format!("{what} needs a domain")).into()
}
