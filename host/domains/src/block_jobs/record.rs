//! The record of a job: an intent of the journal that is pending for as long as the job is not settled.

use std::path::{Path, PathBuf};

use hostler_launch::FileId;
use hostler_network::Attachments;
use hostler_runtime::{BlockJob, BlockJobKind, Next, RunDocument};
use hostler_state::{Definition, Intent};
use hostler_storage::Translations;
use serde::{Deserialize, Serialize};

use super::copy::CopyTarget;
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::recovery::verb;

/// How far a job is, as the journal has it.
pub(super) mod step {
    /// The hypervisor is being told to begin, or was.
    pub(in crate::block_jobs) const BEGUN: &str = "begun";
    /// The chain that the job makes is the true one, whatever becomes of the hypervisor.
    pub(in crate::block_jobs) const DECIDED: &str = "decided";
}

/// One layer as it was when the job began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Its format, by its name in documents.
    pub(crate) format: String,
    /// Whether it is a file; else it is a block device.
    pub(crate) is_file: bool,
    /// Which file it is.
    pub(crate) file: FileId,
}

/// Who let a job begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobOwner {
    /// Its process.
    pub pid: u32,
    /// What it was told to do.
    pub command: String,
    /// On whose behalf; nothing for the operator.
    pub tenant: Option<String>,
}

/// Everything that an owner to come must know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) job: BlockJob,
    pub(crate) owner: JobOwner,
    /// The chain, from the active layer down.
    pub(crate) chain: Vec<Place>,
    /// The image that a copy goes into.
    #[serde(default)]
    pub(crate) copy: Option<CopyTarget>,
    /// Layers that the hypervisor was let write to for the job.
    pub(crate) lent: Vec<usize>,
    /// What the guest runs with until the job is settled.
    pub(crate) before: RunDocument,
    /// What it runs with afterwards.
    pub(crate) after: RunDocument,
}

impl Record {
    /// The image that everything goes into.
    pub(crate) fn receiving(&self) -> Option<&Path> {
        match self.job.kind {
            BlockJobKind::Commit => self.base().map(|place| place.path.as_path()),
            BlockJobKind::Pull => self.chain.first().map(|place| place.path.as_path()),
            BlockJobKind::Copy => self.copy.as_ref().map(|copy| copy.path.as_path()),
        }
    }

    /// What the guest is to be.
    pub(crate) fn next(&self) -> Next {
        let volumes = Translations::recorded(self.after.volumes.clone());
        Next { xml: self.after.xml.clone(), volumes, networks: Attachments::default() }
    }

    pub(crate) fn base(&self) -> Option<&Place> {
        self.chain.get(usize::try_from(self.job.base?).ok()?)
    }

    /// The layers that are left out.
    pub(crate) fn left_out(&self) -> &[Place] {
        let index = |layer: u32| usize::try_from(layer).unwrap_or(usize::MAX);
        let end = self.job.base.map_or(self.chain.len(), index);
        self.chain.get(index(self.job.top)..end).unwrap_or_default()
    }
}

/// A job that is under way.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) intent: Intent,
    pub(crate) record: Record,
    /// Whether this process was told to give it up. Only for the event of its end.
    pub(super) given_up: bool,
}

impl Pending {
    /// Reads an intent of a job.
    ///
    /// # Errors
    /// A record of another version.
    pub(super) fn read(intent: Intent) -> Result<Self, Error> {
        let record = serde_json::from_value(intent.payload.clone()).map_err(|error| {
            let message = format!("the record {} of a block job cannot be read", intent.id);
            Error::new(Kind::Host, "block.record", message).caused_by(error)
        })?;
        Ok(Self { intent, record, given_up: false })
    }
}

impl Host {
    /// The jobs of a domain, or of all, oldest first.
    pub(crate) fn pending_jobs(&self, of: Option<&Definition>) -> Result<Vec<Pending>, Error> {
        let wanted = |intent: &Intent| {
            intent.verb == verb::BLOCK_JOB && of.is_none_or(|definition| definition.uuid == intent.domain)
        };
        self.state().pending()?.into_iter().filter(wanted).map(Pending::read).collect()
    }
}
