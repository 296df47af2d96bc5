//! A guest that runs and is kept: asked of its driver, and found out from it afterwards.

use std::sync::Arc;

use hostler_runtime::{DomainContext, Driver, KeptWithin, Next, Transfer};
use hostler_state::Definition;
use hostler_storage::{Draft, PoolRoot};
use serde::{Deserialize, Serialize};

use super::store::kept_name;
use crate::context::Purpose;
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::process;
use crate::saved;
use crate::verbs::save;

/// The disks of a guest that runs go on in overlays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LiveChange {
    /// The document that it runs with afterwards.
    pub(crate) next: String,
    /// The disks, by target name.
    pub(crate) targets: Vec<String>,
    /// The document that it runs with until then, if its memory is kept too.
    #[serde(default)]
    pub(crate) memory: Option<String>,
}

impl Host {
    /// Has the guest write to the overlays. `Some` is the reason why it does not, and then nothing of them is open.
    ///
    /// # Errors
    /// Nobody can tell whether it writes to them.
    pub(super) async fn go_live(
        &self,
        definition: &Definition,
        (live, operation): (&LiveChange, u64),
    ) -> Result<Option<Error>, Error> {
        if let Err(error) = self.ready_to_go_live(definition, live).await {
            return Ok(Some(error));
        }
        let driver = self.drivers.by_name(&definition.driver)?;
        let (context, _) = self.live_context(definition, live)?;
        let done = match &live.memory {
            None => driver.overlay(&context, &live.targets).await.map_err(Error::from),
            Some(xml) => self.with_memory(definition, (&driver, &context), (live, xml, operation)).await,
        };
        let Err(refused) = done else { return Ok(None) };
        let is_live = driver.settle_overlay(&context, &live.targets).await?;
        Ok((!is_live).then_some(refused))
    }

    async fn ready_to_go_live(&self, definition: &Definition, live: &LiveChange) -> Result<(), Error> {
        if live.memory.is_some() {
            self.require_no_jobs(definition)?;
            return self.freshen_all(definition).await;
        }
        live.targets.iter().try_for_each(|target| self.require_no_job(definition, target))?;
        self.freshen_below(definition, &live.targets).await
    }

    /// The memory goes into a draft, which has no name before it is sure that the guest is in the overlays.
    async fn with_memory(
        &self,
        definition: &Definition,
        (driver, context): (&Driver, &DomainContext),
        (live, xml, operation): (&LiveChange, &str, u64),
    ) -> Result<(), Error> {
        let root = PoolRoot::open_at(&self.state().domain_dir(definition.uuid))?;
        let draft = Draft::begin(&root, operation)?;
        let mut file = draft.file().try_clone().map_err(save::unwritten)?;
        let begins = saved::begin(&mut file, xml, true).map_err(save::unwritten)?;
        let output = save::write_only(&draft, begins)?;
        draft.keep();
        let transfer = Some(Transfer::Output(Arc::new(output.into()), "the guest's memory".into()));
        let context = DomainContext { transfer, ..context.clone() };
        let taken = driver.overlay_with_memory(&context, &live.targets).await;
        taken.map_err(|error| save::with_cause(error.into(), &file))?;
        if file.metadata().map_err(save::unwritten)?.len() > begins {
            return Ok(());
        }
        let message =
            format!("the driver '{}' says that it has kept the memory, and wrote nothing", definition.driver);
        Err(Error::new(Kind::Driver, "driver.no-output", message))
    }

    /// Whether the guest writes to the overlays, when the end of the operation was not seen. Of a guest that is gone they
    /// hold all that it has written there, or nothing: either way they are what goes on.
    ///
    /// # Errors
    /// Nobody can tell.
    pub(super) async fn is_live(&self, definition: &Definition, live: &LiveChange) -> Result<bool, Error> {
        if !self.state().run_dir(definition.uuid).is_held()? {
            return Ok(true);
        }
        let driver: &Driver = &*self.drivers.by_name(&definition.driver)?;
        let (context, _) = self.live_context(definition, live)?;
        Ok(driver.settle_overlay(&context, &live.targets).await?)
    }

    /// Makes the document with the overlays that of the guest, if it runs still, and gives its memory a name.
    ///
    /// # Errors
    /// What writing says.
    pub(super) async fn finish_live(
        &self,
        definition: &Definition,
        (live, operation): (&LiveChange, u64),
    ) -> Result<(), Error> {
        if live.memory.is_some() {
            let root = PoolRoot::open_at(&self.state().domain_dir(definition.uuid))?;
            if let Some(file) = Draft::reopen(&root, operation)? {
                process::blocking(move || saved::finish(&file)).await?.map_err(save::unwritten)?;
            }
            Draft::publish_left(&root, operation, &kept_name(operation, "memory"))?;
        }
        if !self.state().run_dir(definition.uuid).is_held()? {
            return Ok(());
        }
        let (_, next) = self.live_context(definition, live)?;
        self.replace_run_document(definition, &next)?;
        self.close_below(definition, &live.targets).await
    }

    fn live_context(
        &self,
        definition: &Definition,
        live: &LiveChange,
    ) -> Result<(DomainContext, Next), Error> {
        let mut context = self.context(definition, Purpose::Operate)?;
        let next = self.next_of(&context, live.next.clone())?;
        context.next = Some(next.clone());
        Ok((context, next))
    }

    /// Has the guest kept within its images. `Some` is the reason why it is not, and then nothing of it is kept.
    ///
    /// # Errors
    /// Nobody can tell whether it is kept.
    pub(super) async fn go_kept(
        &self,
        definition: &Definition,
        kept: &KeptWithin,
    ) -> Result<Option<Error>, Error> {
        if let Err(busy) = self.require_no_jobs(definition) {
            return Ok(Some(busy));
        }
        let driver = self.drivers.by_name(&definition.driver)?;
        let context = self.context(definition, Purpose::Operate)?;
        let Err(refused) = driver.keep_within(&context, kept).await else { return Ok(None) };
        let is_kept = driver.settle_keep(&context, kept).await?;
        Ok((!is_kept).then(|| refused.into()))
    }
}
