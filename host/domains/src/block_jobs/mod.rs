//! Long work on the disks of running guests: what other verbs and the command line ask for.

mod begin;
mod copy;
mod document;
mod lend;
mod record;
mod resize;
mod settle;
mod summary;

use std::path::PathBuf;
use std::time::Duration;

use hostler_runtime::BlockJobState;
use hostler_state::Definition;

use crate::error::{Error, Kind};
use crate::host::Host;
use crate::reference::DomainRef;

pub(crate) use begin::Wanted;
pub use begin::{CommitOptions, PullOptions};
pub use copy::CopyOptions;
pub use record::JobOwner;
pub(crate) use record::Pending;
pub use resize::{DiskResizeOptions, DiskResized};
use settle::gone;
pub(crate) use settle::{Standing, settle_or_tell};
pub use summary::{BlockJobEnded, BlockJobSummary, JobOutcome, LeftOutImage};
use summary::{described, silent};

/// How long one look at a job that works waits for news.
const NEWS: Duration = Duration::from_secs(5);
/// How long one waits that holds up whoever else wants to change something. A job on an overlay that has little in it is
/// ready by then; to let the state directory go and take it again costs more than that.
const SOON: Duration = Duration::from_millis(200);

/// How a job that is ready ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The guest goes on with the new chain.
    Pivot,
    /// The guest goes on as before.
    Keep,
}

impl Host {
    /// The job for a disk of a domain.
    fn job_of(&self, wanted: &DomainRef, target: &str) -> Result<(Definition, Pending), Error> {
        let definition = self.find(wanted)?;
        let found =
            self.pending_jobs(Some(&definition))?.into_iter().find(|job| job.record.job.target == target);
        found.map(|pending| (definition, pending)).ok_or_else(|| gone(target))
    }

    /// The jobs of a domain, or of all domains, oldest first. Takes no lock and waits for nobody.
    ///
    /// # Errors
    /// [`Kind::NotFound`] for a domain that there is not; what reading says.
    pub async fn block_jobs(&self, of: Option<&DomainRef>) -> Result<Vec<BlockJobSummary>, Error> {
        let of = of.map(|wanted| self.find(wanted)).transpose()?;
        let mut jobs = Vec::new();
        for pending in self.pending_jobs(of.as_ref())? {
            let Some(definition) = self.state().definition_by_uuid(pending.intent.domain)? else { continue };
            jobs.push(self.summarise_job(&definition, &pending, Duration::ZERO).await);
        }
        Ok(jobs)
    }

    /// The jobs of a domain as they are recorded. Asks no hypervisor.
    pub(crate) fn known_jobs(&self, definition: &Definition) -> Result<Vec<BlockJobSummary>, Error> {
        let jobs = self.pending_jobs(Some(definition))?;
        Ok(jobs.iter().map(|pending| described(definition, pending, silent(None))).collect())
    }

    /// Waits for news of a job, at most a few seconds, for as long as it works. Takes no lock. A job that another owner has
    /// settled meanwhile is over: its state is [`BlockJobState::None`].
    ///
    /// # Errors
    /// What reading says.
    pub async fn block_job_news(&self, job: &BlockJobSummary) -> Result<BlockJobSummary, Error> {
        self.news_within(job, NEWS).await
    }

    /// The same for whoever holds the state directory, and lets it go unless the job is over or ready in a moment.
    ///
    /// # Errors
    /// As for [`Host::block_job_news`].
    pub async fn block_job_soon(&self, job: &BlockJobSummary) -> Result<BlockJobSummary, Error> {
        if job.state != BlockJobState::Running {
            return Ok(job.clone());
        }
        self.news_within(job, SOON).await
    }

    async fn news_within(&self, job: &BlockJobSummary, wait: Duration) -> Result<BlockJobSummary, Error> {
        let definition = self.state().definition_by_uuid(job.uuid)?;
        let found =
            self.pending_jobs(definition.as_ref())?.into_iter().find(|other| other.intent.id == job.id);
        match (definition, found) {
            (Some(definition), Some(pending)) => Ok(self.summarise_job(&definition, &pending, wait).await),
            _ => Ok(BlockJobSummary { state: BlockJobState::None, ..job.clone() }),
        }
    }

    /// Ends the job for a disk that is ready or over, and settles it.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is no job for that disk; [`Kind::Conflict`] while it works; [`Kind::Hypervisor`] when it
    /// failed: the chain is as it was then.
    pub async fn block_complete(
        &self,
        wanted: &DomainRef,
        target: &str,
        ending: Ending,
    ) -> Result<BlockJobEnded, Error> {
        self.owner()?;
        let (definition, pending) = self.job_of(wanted, target)?;
        self.complete(&definition, pending, (ending, BlockJobState::Running)).await
    }

    /// Ends a job that this process let begin, or says how it ended if another owner has settled it.
    ///
    /// # Errors
    /// As for [`Host::block_complete`].
    pub async fn block_finish(&self, job: &BlockJobSummary, ending: Ending) -> Result<BlockJobEnded, Error> {
        self.owner()?;
        let definition = self.state().definition_by_uuid(job.uuid)?;
        let found =
            self.pending_jobs(definition.as_ref())?.into_iter().find(|other| other.intent.id == job.id);
        match (definition, found) {
            (Some(definition), Some(pending)) => {
                self.complete(&definition, pending, (ending, job.state)).await
            }
            _ => {
                let standing = self.how_it_ended(job.uuid, job.id)?.ok_or_else(|| gone(&job.target))?;
                self.ended(job, standing)
            }
        }
    }

    /// Brings a job that something else waits for as far as it goes: the guest goes on with what is ready.
    ///
    /// # Errors
    /// What the driver, the hypervisor or writing says. The job is found as it is by the next owner.
    pub(crate) async fn drive_job(
        &self,
        definition: &Definition,
        mut pending: Pending,
    ) -> Result<Standing, Error> {
        let standing = self.advance(definition, &mut pending).await?;
        match &standing {
            Standing::Goes(report) if report.state == BlockJobState::Ready => {}
            _ => return Ok(standing),
        }
        let driver = self.drivers.by_name(&definition.driver)?;
        let context = self.job_context(definition, &pending.record)?;
        lend::freshen_base(self, definition, &pending.record).await?;
        driver.complete_block_job(&context, &pending.record.job).await?;
        self.advance(definition, &mut pending).await
    }

    /// Ends a job, of which `told` is how it stood last. One that was ready stays so as a rule: it is not looked at again before
    /// its guest goes on with the new chain, which the hypervisor refuses of any other.
    async fn complete(
        &self,
        definition: &Definition,
        mut pending: Pending,
        (ending, told): (Ending, BlockJobState),
    ) -> Result<BlockJobEnded, Error> {
        let job = described(definition, &pending, silent(None));
        let is_known = ending == Ending::Pivot && told == BlockJobState::Ready;
        if !is_known && let Some(standing) = self.ended_already(definition, &mut pending, &job).await? {
            return self.ended(&job, standing);
        }
        if ending == Ending::Keep {
            self.cancel_ready(definition, &mut pending).await?;
        } else if let Err(error) = self.pivot(definition, &pending).await {
            // It may have failed since, or its guest may have ended.
            return match self.advance(definition, &mut pending).await? {
                Standing::Goes(_) => Err(error),
                standing => self.ended(&job, standing),
            };
        }
        match (self.advance(definition, &mut pending).await?, ending) {
            (Standing::Undone(_), Ending::Keep) => self.summarise_ended(&job, JobOutcome::Kept),
            (standing, _) => self.ended(&job, standing),
        }
    }

    /// How a job has ended; nothing when it is ready to.
    async fn ended_already(
        &self,
        definition: &Definition,
        pending: &mut Pending,
        job: &BlockJobSummary,
    ) -> Result<Option<Standing>, Error> {
        match self.advance(definition, pending).await? {
            Standing::Goes(report) if report.state == BlockJobState::Ready => Ok(None),
            Standing::Goes(_) => {
                let message = format!("the {} of disk '{}' still works", job.kind.word(), job.target);
                Err(Error::new(Kind::Conflict, "block.job-works", message)
                    .hint_command("see how far it is", "hostler block jobs"))
            }
            standing => Ok(Some(standing)),
        }
    }

    async fn pivot(&self, definition: &Definition, pending: &Pending) -> Result<(), Error> {
        let driver = self.drivers.by_name(&definition.driver)?;
        let context = self.job_context(definition, &pending.record)?;
        lend::freshen_base(self, definition, &pending.record).await?;
        Ok(driver.complete_block_job(&context, &pending.record.job).await?)
    }

    async fn cancel_ready(&self, definition: &Definition, pending: &mut Pending) -> Result<(), Error> {
        let driver = self.drivers.by_name(&definition.driver)?;
        let context = self.job_context(definition, &pending.record)?;
        lend::freshen_base(self, definition, &pending.record).await?;
        pending.given_up = true;
        self.keep_copy(pending)?;
        Ok(driver.cancel_block_job(&context, &pending.record.job).await?)
    }

    /// Lets a job take at most so many bytes a second from now on; 0 for as fast as it goes.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is no job for that disk; what the hypervisor says of one that does not work any more.
    pub async fn block_set_speed(
        &self,
        wanted: &DomainRef,
        target: &str,
        bandwidth: u64,
    ) -> Result<(), Error> {
        let (definition, mut pending) = self.job_of(wanted, target)?;
        let driver = self.drivers.by_name(&definition.driver)?;
        let context = self.job_context(&definition, &pending.record)?;
        driver.set_job_speed(&context, &pending.record.job, bandwidth).await?;
        pending.record.job.bandwidth = (bandwidth > 0).then_some(bandwidth);
        pending.intent.payload = serde_json::json!(pending.record);
        let step = pending.intent.step.clone();
        Ok(self.owner()?.journal().advance(&mut pending.intent, &step)?)
    }

    /// Gives a job up. The chain is as it was.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is no job for that disk.
    pub async fn block_cancel(&self, wanted: &DomainRef, target: &str) -> Result<BlockJobEnded, Error> {
        self.owner()?;
        let (definition, mut pending) = self.job_of(wanted, target)?;
        let job = described(&definition, &pending, silent(None));
        if pending.intent.step != record::step::DECIDED && self.state().run_dir(definition.uuid).is_held()? {
            let driver = self.drivers.by_name(&definition.driver)?;
            let context = self.job_context(&definition, &pending.record)?;
            lend::freshen_base(self, &definition, &pending.record).await?;
            driver.cancel_block_job(&context, &pending.record.job).await?;
            pending.given_up = true;
        }
        match self.advance(&definition, &mut pending).await? {
            Standing::Undone(_) => self.summarise_ended(&job, JobOutcome::Cancelled),
            // It was over before it could be given up.
            standing => self.ended(&job, standing),
        }
    }

    /// Removes the files of layers that a job left out, as far as nobody uses them. Which are gone.
    ///
    /// # Errors
    /// [`Kind::Host`] when one cannot be removed.
    pub fn block_delete_left_out(&self, ended: &BlockJobEnded) -> Result<Vec<PathBuf>, Error> {
        self.owner()?;
        let mut gone = Vec::new();
        for path in ended.left_out.iter().filter(|path| path.in_use.is_none()) {
            std::fs::remove_file(&path.path).map_err(|error| {
                let message = format!("cannot remove '{}'", path.path.display());
                Error::new(Kind::Host, "block.unremoved", message).caused_by(error)
            })?;
            gone.push(path.path.clone());
        }
        Ok(gone)
    }
}
