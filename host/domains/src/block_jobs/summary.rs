//! Jobs as plain data for whoever shows them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hostler_runtime::{BlockJobKind, BlockJobReport, BlockJobState};
use hostler_state::{Definition, unix_ms};
use serde::Serialize;

use super::record::{JobOwner, Pending};
use super::settle::Standing;
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::images;

/// A job under way.
#[derive(Clone, Debug, Serialize)]
pub struct BlockJobSummary {
    /// The number of its record.
    pub id: u64,
    /// The domain's identifier.
    pub uuid: uuid::Uuid,
    /// The domain.
    pub domain: String,
    /// The target name of the disk.
    pub target: String,
    /// What is done.
    pub kind: BlockJobKind,
    /// Whether the guest goes on with another active layer when it ends.
    pub active: bool,
    /// How it stands.
    pub state: BlockJobState,
    /// Bytes of the work that are done.
    pub done: u64,
    /// Bytes of the work that there are, as far as it is known.
    pub total: u64,
    /// Most bytes a second, where that is limited.
    pub bandwidth: Option<u64>,
    /// Why it failed, or why nobody knows how it stands.
    pub error: Option<String>,
    /// The image that everything goes into.
    pub into: Option<PathBuf>,
    /// The images that are left out.
    pub left_out: Vec<PathBuf>,
    /// Who let it begin.
    pub owner: JobOwner,
    /// When it began, in milliseconds since 1970.
    pub since_unix_ms: u64,
    /// How long ago that was, in milliseconds.
    pub age_ms: u64,
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobOutcome {
    /// The guest has the new chain.
    Made,
    /// Everything was copied, and the guest goes on as before.
    Kept,
    /// It was given up.
    Cancelled,
}

/// A job that is over and settled.
#[derive(Clone, Debug, Serialize)]
pub struct BlockJobEnded {
    /// The target name of the disk.
    pub target: String,
    /// What was done.
    pub kind: BlockJobKind,
    /// How it ended.
    pub outcome: JobOutcome,
    /// The image that everything went into.
    pub into: Option<PathBuf>,
    /// The images that this guest does not need any more.
    pub left_out: Vec<LeftOutImage>,
}

/// An image that is not in a chain any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOutImage {
    /// Where it is.
    pub path: PathBuf,
    /// Who uses it all the same; nothing when nobody does.
    pub in_use: Option<String>,
}

impl Host {
    /// A job with what its hypervisor says; a hypervisor that does not answer leaves only what is known.
    pub(crate) async fn summarise_job(
        &self,
        definition: &Definition,
        pending: &Pending,
        wait: Duration,
    ) -> BlockJobSummary {
        let report = match self.reported(definition, pending, wait).await {
            Ok(report) => report,
            Err(error) => silent(Some(error.to_string())),
        };
        described(definition, pending, report)
    }

    async fn reported(
        &self,
        definition: &Definition,
        pending: &Pending,
        wait: Duration,
    ) -> Result<BlockJobReport, Error> {
        let driver = self.drivers.by_name(&definition.driver)?;
        let context = self.job_context(definition, &pending.record)?;
        Ok(driver.report_block_job(&context, &pending.record.job, wait).await?)
    }

    /// What came of a job.
    ///
    /// # Errors
    /// [`Kind::Hypervisor`] when it failed; [`Kind::Conflict`] when it is not over; what reading says.
    pub(super) fn ended(&self, job: &BlockJobSummary, standing: Standing) -> Result<BlockJobEnded, Error> {
        let (word, target) = (job.kind.word(), job.target.as_str());
        match standing {
            Standing::Made => self.summarise_ended(job, JobOutcome::Made),
            Standing::Undone(why) => {
                let message =
                    format!("the {word} of disk '{target}' failed, and the chain is as it was: {why}");
                Err(Error::new(Kind::Hypervisor, "block.job-failed", message).about("disk", target))
            }
            Standing::Goes(_) => {
                let message = format!("the {word} of disk '{target}' goes on");
                Err(Error::new(Kind::Conflict, "block.job-works", message).about("disk", target))
            }
        }
    }

    pub(super) fn summarise_ended(
        &self,
        job: &BlockJobSummary,
        outcome: JobOutcome,
    ) -> Result<BlockJobEnded, Error> {
        let left_out = match outcome {
            JobOutcome::Made => {
                job.left_out.iter().map(|path| self.left_out(path)).collect::<Result<_, _>>()?
            }
            JobOutcome::Kept | JobOutcome::Cancelled => Vec::new(),
        };
        let (target, kind, into) = (job.target.clone(), job.kind, job.into.clone());
        Ok(BlockJobEnded { target, kind, outcome, into, left_out })
    }

    fn left_out(&self, path: &Path) -> Result<LeftOutImage, Error> {
        let uses = self.image_uses(path)?;
        let by_domain = uses.first().map(|one| format!("disk {} of the domain '{}'", one.disk, one.domain));
        let is_file = std::fs::symlink_metadata(path).is_ok_and(|facts| facts.is_file());
        let in_use = match by_domain {
            Some(domain) => Some(domain),
            None if !is_file => Some("it is no file".to_owned()),
            None => {
                let place = images::Place::of(path, &self.area())?;
                place.require_nothing_above().err().map(|error| error.to_string())
            }
        };
        Ok(LeftOutImage { path: path.to_owned(), in_use })
    }
}

/// A job as its record and a report have it.
pub(super) fn described(
    definition: &Definition,
    pending: &Pending,
    report: BlockJobReport,
) -> BlockJobSummary {
    let record = &pending.record;
    let since_unix_ms = pending.intent.started_unix_ms;
    BlockJobSummary {
        id: pending.intent.id,
        uuid: definition.uuid,
        domain: definition.name.clone(),
        target: record.job.target.clone(),
        kind: record.job.kind,
        active: record.job.changes_the_active_layer(),
        state: report.state,
        done: report.done,
        total: report.total,
        bandwidth: record.job.bandwidth,
        error: report.error,
        into: record.receiving().map(Path::to_owned),
        left_out: record.left_out().iter().map(|place| place.path.clone()).collect(),
        owner: record.owner.clone(),
        since_unix_ms,
        age_ms: unix_ms().saturating_sub(since_unix_ms),
    }
}

/// A report of nothing.
pub(super) fn silent(error: Option<String>) -> BlockJobReport {
    BlockJobReport { state: BlockJobState::None, done: 0, total: 0, error }
}
