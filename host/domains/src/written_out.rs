//! A new file that a driver has its hypervisor write: whole or not there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hostler_runtime::{DomainContext, RuntimeError, Transfer};
use hostler_state::Definition;
use hostler_storage::Draft;

use crate::context::Purpose;
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::saved::Place;

/// What is said when it does not come about.
pub(crate) struct Words {
    /// The code of a failure to write.
    pub(crate) unwritten: &'static str,
    /// What the driver claims that wrote nothing: "took a picture".
    pub(crate) claim: &'static str,
}

/// A file that was written.
pub(crate) struct WrittenOut<T> {
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    /// What the driver said.
    pub(crate) answer: T,
}

impl Host {
    /// Lets a driver write to a file of this name, by a descriptor that can only write.
    ///
    /// # Errors
    /// What the driver answers and what writing says; [`Kind::Driver`] when nothing was written. There is no file then.
    pub(crate) async fn write_out<T>(
        &self,
        definition: &Definition,
        place: &Place,
        words: &Words,
        write: impl AsyncFnOnce(&DomainContext) -> Result<T, RuntimeError>,
    ) -> Result<WrittenOut<T>, Error> {
        let path = place.path();
        let draft = Draft::nameless(&place.root)?;
        let output = draft.write_only()?;
        let mut context = self.context(definition, Purpose::Operate)?;
        context.transfer = Some(Transfer::Output(Arc::new(output.into()), path.clone()));
        let answer = write(&context).await?;
        let bytes = draft.file().metadata().map_err(|error| unwritten(words, &path, error))?.len();
        if bytes == 0 {
            let (driver, claim) = (&definition.driver, words.claim);
            let message = format!("the driver '{driver}' says that it {claim}, and wrote nothing");
            return Err(Error::new(Kind::Driver, "driver.no-output", message));
        }
        draft.finish()?;
        draft.publish(&place.name)?;
        Ok(WrittenOut { path, bytes, answer })
    }
}

fn unwritten(words: &Words, path: &Path, error: std::io::Error) -> Error {
    Error::new(Kind::Host, words.unwritten, format!("cannot write '{}'", path.display())).caused_by(error)
}
