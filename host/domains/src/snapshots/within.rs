//! What images keep within them: changed by the hypervisor that has them open, or in place where none has.

use hostler_runtime::KeptWithin;
use hostler_state::Definition;
use hostler_storage::internal_snapshots;

use super::change::{InternalChange, InternalWord};
use crate::context::Purpose;
use crate::error::Error;
use crate::host::Host;
use crate::images::Place;
use crate::process;

impl Host {
    /// Removes what is kept. Done already is done.
    pub(super) async fn forget_within(
        &self,
        definition: &Definition,
        change: &InternalChange,
    ) -> Result<(), Error> {
        let runs = self.state().run_dir(definition.uuid).is_held()?;
        let mut open = Vec::new();
        for (at, image) in change.images.iter().enumerate() {
            let target = change.targets.get(at).filter(|_| runs);
            if let Some(target) = target
                && self.chain_of(definition, target)?.first() == Some(image)
            {
                open.push(target.clone());
                continue;
            }
            let (place, tag) = (Place::of(image, &self.area())?, change.tag.clone());
            process::blocking(move || InternalWord::Remove.carry(&place, &tag)).await??;
        }
        let Some(memory) = open.first().cloned() else { return Ok(()) };
        let driver = self.drivers.by_name(&definition.driver)?;
        let kept = KeptWithin { name: change.tag.clone(), targets: open, memory };
        Ok(driver.forget_kept(&self.context(definition, Purpose::Operate)?, &kept).await?)
    }

    /// Whether a guest is kept, when the end of that was not seen. Of one that is gone, whether all of its images have it: the
    /// one with the memory comes first.
    ///
    /// # Errors
    /// Nobody can tell.
    pub(super) async fn is_kept(
        &self,
        definition: &Definition,
        change: &InternalChange,
    ) -> Result<bool, Error> {
        if self.state().run_dir(definition.uuid).is_held()? {
            let driver = self.drivers.by_name(&definition.driver)?;
            let context = self.context(definition, Purpose::Operate)?;
            return Ok(driver.settle_keep(&context, &change.kept()).await?);
        }
        for image in &change.images {
            let place = Place::of(image, &self.area())?;
            if !internal_snapshots(&place.root, &place.name)?.contains(&change.tag) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
