//! A guest that runs and goes on in overlays: asked of its driver, and found out from it afterwards.

use hostler_runtime::{DomainContext, Driver, Next};
use hostler_state::Definition;
use serde::{Deserialize, Serialize};

use crate::context::Purpose;
use crate::error::Error;
use crate::host::Host;

/// The disks of a guest that runs go on in overlays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LiveChange {
    /// The document that it runs with afterwards.
    pub(crate) next: String,
    /// The disks, by target name.
    pub(crate) targets: Vec<String>,
}

impl Host {
    /// Has the guest write to the overlays. `Some` is the reason why it does not, and then nothing of them is open.
    ///
    /// # Errors
    /// Nobody can tell whether it writes to them.
    pub(super) async fn go_live(
        &self,
        definition: &Definition,
        live: &LiveChange,
    ) -> Result<Option<Error>, Error> {
        let driver = self.drivers.by_name(&definition.driver)?;
        let (context, _) = self.live_context(definition, live)?;
        let Err(refused) = driver.overlay(&context, &live.targets).await else { return Ok(None) };
        let is_live = driver.settle_overlay(&context, &live.targets).await?;
        Ok((!is_live).then(|| refused.into()))
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

    /// Makes the document with the overlays that of the guest, if it runs still.
    ///
    /// # Errors
    /// What writing says.
    pub(super) fn finish_live(&self, definition: &Definition, live: &LiveChange) -> Result<(), Error> {
        if !self.state().run_dir(definition.uuid).is_held()? {
            return Ok(());
        }
        let (_, next) = self.live_context(definition, live)?;
        self.replace_run_document(definition, &next)
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
}
