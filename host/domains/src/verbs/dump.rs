//! `dump`: what is in a guest's memory, in a file.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::{Error, Kind};
use crate::host::Host;
use crate::reference::DomainRef;
use crate::written_out::{Words, WrittenOut};

/// A dump that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MemoryDump {
    /// The domain.
    pub name: String,
    /// The file that it is in.
    pub path: PathBuf,
    /// Its format: `elf`.
    pub format: String,
    /// The size of the file, in bytes.
    pub bytes: u64,
}

impl Host {
    /// Writes a guest's memory and processors to a new file that only its owner can read. The guest stands still meanwhile
    /// and goes on as before. The file is whole or not there. Dropping the future leaves the hypervisor writing to a file
    /// without a name.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when the domain does not run; [`Kind::Exists`] when there is such a file; [`Kind::Unsupported`]
    /// when its driver writes no dumps, or none of that format; what writing says.
    pub async fn dump(&self, wanted: &DomainRef, to: &Path, format: &str) -> Result<MemoryDump, Error> {
        let definition = self.active(wanted).await?;
        let driver = self.with_ability(&definition, "dump")?;
        let place = self.named_place(to)?;
        let path = place.path();
        if !place.root.lacks(&place.name) {
            let message = format!("there is a file '{}' already", path.display());
            return Err(Error::new(Kind::Exists, "dump.exists", message)
                .hint("choose another name, or remove it first"));
        }
        let words = Words { unwritten: "dump.unwritten", claim: "wrote a dump" };
        let written = self
            .write_out(&definition, &place, &words, async |context| driver.dump(context, format, &[]).await);
        let WrittenOut { path, bytes, answer: () } = written.await?;
        Ok(MemoryDump { name: definition.name, path, format: format.to_owned(), bytes })
    }
}
