//! Long work on the disks of a running guest: the ability `block-jobs`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::answer;
use crate::bindings::block_jobs::exports::hostler::driver::block_jobs as wit;
use crate::context::DomainContext;
use crate::driver::Driver;
use crate::error::RuntimeError;
use crate::limits;
use crate::operation::Operation;
use crate::request::{AskedReport, NewSize, NewSpeed, Reply, Request};
use crate::text;

/// What a job does to a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlockJobKind {
    /// The content of layers goes into a layer below them.
    Commit,
    /// The content of layers goes into the active layer above them.
    Pull,
    /// The content of layers goes into another image, with which the guest goes on.
    Copy,
}

impl BlockJobKind {
    /// The lower-case word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Pull => "pull",
            Self::Copy => "copy",
        }
    }
}

/// A job as the host wants it. Layers are counted from the active one, 0, downwards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockJob {
    /// What is done.
    pub kind: BlockJobKind,
    /// The target name of the disk.
    pub target: String,
    /// The uppermost layer that is left out.
    pub top: u32,
    /// The layer that stays below.
    pub base: Option<u32>,
    /// What the layer that then stands on `base` records for it.
    pub reference: Option<String>,
    /// Most bytes a second; as fast as it goes if not said.
    pub bandwidth: Option<u64>,
}

impl BlockJob {
    /// Whether the guest writes to another layer afterwards.
    #[must_use]
    pub fn changes_the_active_layer(&self) -> bool {
        match self.kind {
            BlockJobKind::Commit => self.top == 0,
            BlockJobKind::Pull => false,
            BlockJobKind::Copy => true,
        }
    }
}

/// How a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlockJobState {
    /// There is none.
    None,
    /// It works.
    Running,
    /// All is there, and is kept so.
    Ready,
    /// All is there, and nothing changes until it is settled.
    Pending,
    /// It is over, well.
    Done,
    /// It failed or was cancelled.
    Failed,
}

/// A job as its hypervisor has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BlockJobReport {
    /// How it stands.
    pub state: BlockJobState,
    /// Bytes of the work that are done.
    pub done: u64,
    /// Bytes of the work there are.
    pub total: u64,
    /// Why it failed.
    pub error: Option<String>,
}

impl From<&BlockJob> for wit::BlockJob {
    fn from(job: &BlockJob) -> Self {
        let bandwidth = job.bandwidth.map(|bytes| answer::fact("bandwidth", bytes.to_string()));
        Self {
            kind: match job.kind {
                BlockJobKind::Commit => wit::JobKind::Commit,
                BlockJobKind::Pull => wit::JobKind::Pull,
                BlockJobKind::Copy => wit::JobKind::Copy,
            },
            target: job.target.clone(),
            top: job.top,
            base: job.base,
            reference: job.reference.clone(),
            options: bandwidth.into_iter().collect(),
        }
    }
}

impl From<wit::JobReport> for BlockJobReport {
    fn from(told: wit::JobReport) -> Self {
        Self {
            state: match told.state {
                wit::JobState::None => BlockJobState::None,
                wit::JobState::Running => BlockJobState::Running,
                wit::JobState::Ready => BlockJobState::Ready,
                wit::JobState::Pending => BlockJobState::Pending,
                wit::JobState::Done => BlockJobState::Done,
                wit::JobState::Failed => BlockJobState::Failed,
            },
            done: told.done,
            total: told.total,
            error: told.error.map(|error| text::escape(&error, limits::TEXT_BYTES)),
        }
    }
}

/// What it comes to that a driver has no `block-jobs`.
const NO_BLOCK_JOBS: &str = ", so its disks stay as they are";

impl Driver {
    /// Opens what a job needs beside the disk.
    ///
    /// # Errors
    /// As for [`Driver::begin_block_job`].
    pub async fn prepare_block_job(
        &self,
        context: &DomainContext,
        job: &BlockJob,
    ) -> Result<(), RuntimeError> {
        self.require("block-jobs", NO_BLOCK_JOBS)?;
        self.done(context, Request::PrepareBlockJob(job.into())).await
    }

    /// Lets a job begin. The context has the reference that the job names, if it names one.
    ///
    /// # Errors
    /// As every operation; [`crate::RuntimeErrorKind::Driver`]; [`crate::RuntimeErrorKind::Contract`] when the driver does not have the
    /// interface ([`Driver::has`]). The chain is as before after an error of the driver's own.
    pub async fn begin_block_job(&self, context: &DomainContext, job: &BlockJob) -> Result<(), RuntimeError> {
        self.require("block-jobs", NO_BLOCK_JOBS)?;
        self.done(context, Request::BeginBlockJob(job.into())).await
    }

    /// How a job stands; waits for at most `wait` while it works.
    ///
    /// # Errors
    /// As for [`Driver::begin_block_job`].
    pub async fn report_block_job(
        &self,
        context: &DomainContext,
        job: &BlockJob,
        wait: Duration,
    ) -> Result<BlockJobReport, RuntimeError> {
        self.require("block-jobs", NO_BLOCK_JOBS)?;
        let timeout_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let request = Request::ReportBlockJob(AskedReport { job: job.into(), timeout_ms });
        match self.call(Some(context), request).await?.0 {
            Reply::Reported(report) => report
                .map(BlockJobReport::from)
                .map_err(|error| self.answered(Operation::ReportBlockJob, error)),
            _ => Err(self.answered_another(Operation::ReportBlockJob)),
        }
    }

    /// Ends a job that is ready: it comes to be pending.
    ///
    /// # Errors
    /// As for [`Driver::begin_block_job`].
    pub async fn complete_block_job(
        &self,
        context: &DomainContext,
        job: &BlockJob,
    ) -> Result<(), RuntimeError> {
        self.require("block-jobs", NO_BLOCK_JOBS)?;
        self.done(context, Request::CompleteBlockJob(job.into())).await
    }

    /// Gives a job up.
    ///
    /// # Errors
    /// As for [`Driver::begin_block_job`].
    pub async fn cancel_block_job(
        &self,
        context: &DomainContext,
        job: &BlockJob,
    ) -> Result<(), RuntimeError> {
        self.require("block-jobs", NO_BLOCK_JOBS)?;
        self.done(context, Request::CancelBlockJob(job.into())).await
    }

    /// Lets the guest go on with what came of a job, and the hypervisor forget it.
    ///
    /// # Errors
    /// As for [`Driver::begin_block_job`].
    pub async fn settle_block_job(
        &self,
        context: &DomainContext,
        job: &BlockJob,
    ) -> Result<(), RuntimeError> {
        self.require("block-jobs", NO_BLOCK_JOBS)?;
        self.done(context, Request::SettleBlockJob(job.into())).await
    }

    /// Lets a job take at most so many bytes a second; 0 for as fast as it goes.
    ///
    /// # Errors
    /// As for [`Driver::begin_block_job`].
    pub async fn set_job_speed(
        &self,
        context: &DomainContext,
        job: &BlockJob,
        bandwidth: u64,
    ) -> Result<(), RuntimeError> {
        self.require("block-jobs", NO_BLOCK_JOBS)?;
        self.done(context, Request::SetJobSpeed(NewSpeed { job: job.into(), bandwidth })).await
    }

    /// Gives the disk of a running guest another size, in bytes.
    ///
    /// # Errors
    /// As for [`Driver::begin_block_job`].
    pub async fn resize_disk(
        &self,
        context: &DomainContext,
        target: &str,
        bytes: u64,
    ) -> Result<(), RuntimeError> {
        self.require("block-jobs", NO_BLOCK_JOBS)?;
        self.done(context, Request::ResizeDisk(NewSize { target: target.to_owned(), bytes })).await
    }
}
