//! Jobs as plain data for whoever shows them.

use std::path::PathBuf;
use std::time::Duration;

use hostler_runtime::{BlockJobKind, BlockJobReport, BlockJobState};
use hostler_state::{Definition, unix_ms};
use serde::Serialize;

use super::record::{JobOwner, Pending, Place};
use crate::error::Error;
use crate::host::Host;
use crate::images;

/// A job under way.
#[derive(Clone, Debug, Serialize)]
pub struct BlockJobSummary {
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
    pub(super) async fn summarise_job(
        &self,
        definition: &Definition,
        pending: &Pending,
        wait: Duration,
    ) -> BlockJobSummary {
        let report = match self.reported(definition, pending, wait).await {
            Ok(report) => report,
            Err(error) => BlockJobReport {
                state: BlockJobState::None,
                done: 0,
                total: 0,
                error: Some(error.to_string()),
            },
        };
        let record = &pending.record;
        let since_unix_ms = pending.intent.started_unix_ms;
        BlockJobSummary {
            domain: definition.name.clone(),
            target: record.job.target.clone(),
            kind: record.job.kind,
            active: record.job.changes_the_active_layer(),
            state: report.state,
            done: report.done,
            total: report.total,
            error: report.error,
            into: record.into_layer().map(|place| place.path.clone()),
            left_out: record.left_out().iter().map(|place| place.path.clone()).collect(),
            owner: record.owner.clone(),
            since_unix_ms,
            age_ms: unix_ms().saturating_sub(since_unix_ms),
        }
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

    pub(super) fn summarise_ended(
        &self,
        pending: &Pending,
        outcome: JobOutcome,
    ) -> Result<BlockJobEnded, Error> {
        let record = &pending.record;
        let left_out = match outcome {
            JobOutcome::Made => record.left_out().iter().map(|place| self.left_out(place)).collect::<Result<_, _>>()?,
            JobOutcome::Kept | JobOutcome::Cancelled => Vec::new(),
        };
        Ok(BlockJobEnded {
            target: record.job.target.clone(),
            kind: record.job.kind,
            outcome,
            into: record.into_layer().map(|place| place.path.clone()),
            left_out,
        })
    }

    fn left_out(&self, place: &Place) -> Result<LeftOutImage, Error> {
        let uses = self.image_uses(&place.path)?;
        let by_domain = uses.first().map(|one| format!("disk {} of the domain '{}'", one.disk, one.domain));
        let in_use = match by_domain {
            Some(domain) => Some(domain),
            None if !place.is_file => Some("it is a block device".to_owned()),
            None => images::Place::of(&place.path, &self.area())?
                .require_nothing_above()
                .err()
                .map(|error| error.to_string()),
        };
        Ok(LeftOutImage { path: place.path.clone(), in_use })
    }
}
