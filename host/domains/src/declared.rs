//! What volumes were declared to be, and whether a record is about the file that has its name now.

use hostler_state::VolumeRecord;
use hostler_storage::VolumeFacts;

use crate::error::Error;
use crate::host::Host;
use crate::pools::Pool;

impl Host {
    /// What is recorded about a volume; nothing for one that was not made here, and for another file in its place.
    pub(crate) fn recorded(&self, pool: &Pool, facts: &VolumeFacts) -> Result<Option<VolumeRecord>, Error> {
        let record = self.state().volume(pool.definition.uuid, &facts.name)?;
        Ok(record.filter(|record| is_about(record, facts)))
    }
}

/// Whether the record is about this file: a format that was declared for another one decides nothing.
pub(crate) fn is_about(record: &VolumeRecord, facts: &VolumeFacts) -> bool {
    // Records of earlier versions do not say.
    record.files.is_empty()
        || facts.identity.is_some_and(|identity| record.files.contains(&identity.to_string()))
}
