//! How a job ends, for whoever finds it: the command that let it begin, or any owner after it.
//!
//! Until the journal says [`step::DECIDED`] the chain before the job is the true one, and it is whole: nothing is written
//! to a layer that it has not got beneath others. From then on the chain that the job makes is, and it is whole because
//! the hypervisor holds back the guest's writes in between.

use std::time::Duration;

use hostler_runtime::{BlockJobReport, BlockJobState, DomainContext, Driver, RunDocument};
use hostler_state::{Definition, Intent, NewEvent, unix_ms};

use super::copy::with_copy;
use super::document::{LeftOut, without_layers};
use super::lend;
use super::record::{Pending, Record, step};
use crate::context::Purpose;
use crate::error::{Error, Kind};
use crate::host::Host;

/// The event that tells of a job's end, with the number of its record and why it failed, if it did.
const ENDED: &str = "block-job-ended";
const ENDED_JOB: &str = "job";
const ENDED_WHY: &str = "error";

/// How a job stands once it was looked at.
#[derive(Clone, Debug)]
pub(crate) enum Standing {
    /// It goes on.
    Goes(BlockJobReport),
    /// The guest has the new chain, and the documents say so.
    Made,
    /// The chain is as it was, for this reason.
    Undone(String),
}

impl Host {
    /// What a driver is given to work on the disk of a job: the document from before it.
    pub(super) fn job_context(
        &self,
        definition: &Definition,
        record: &Record,
    ) -> Result<DomainContext, Error> {
        let mut context = self.context(definition, Purpose::Operate)?;
        context.xml.clone_from(&record.before.xml);
        context.references.extend(record.job.reference.clone());
        context.next = Some(record.next());
        Ok(context)
    }

    /// Brings a job as far as it goes by itself: over, or ready.
    ///
    /// # Errors
    /// What the driver, the hypervisor or writing says. The job is found as it is by the next owner.
    pub(super) async fn advance(
        &self,
        definition: &Definition,
        pending: &mut Pending,
    ) -> Result<Standing, Error> {
        if !self.state().run_dir(definition.uuid).is_held()? {
            return self.advance_without_guest(definition, pending);
        }
        let driver = self.drivers.by_name(&definition.driver)?;
        let context = self.job_context(definition, &pending.record)?;
        let report = driver.report_block_job(&context, &pending.record.job, Duration::ZERO).await?;
        let decided = pending.intent.step == step::DECIDED;
        match report.state {
            BlockJobState::Running | BlockJobState::Ready => Ok(Standing::Goes(report)),
            BlockJobState::Pending | BlockJobState::Done => {
                if report.state == BlockJobState::Pending {
                    lend::freshen_base(self, definition, &pending.record).await?;
                }
                self.owner()?.journal().advance(&mut pending.intent, step::DECIDED)?;
                self.make(definition, &driver, &context, pending).await
            }
            // It was settled, and what comes after that was not done.
            BlockJobState::None if decided => self.make(definition, &driver, &context, pending).await,
            BlockJobState::None => {
                let why = "the hypervisor has no such job".to_owned();
                self.unmake(definition, &driver, &context, pending, why).await
            }
            BlockJobState::Failed => {
                let why = report.error.unwrap_or_else(|| "it failed".to_owned());
                self.unmake(definition, &driver, &context, pending, why).await
            }
        }
    }

    async fn make(
        &self,
        definition: &Definition,
        driver: &Driver,
        context: &DomainContext,
        pending: &mut Pending,
    ) -> Result<Standing, Error> {
        let record = &pending.record;
        // Done well it is forgotten, so that there is nothing to ask then.
        if let Err(error) = driver.settle_block_job(context, &record.job).await {
            let report = driver.report_block_job(context, &record.job, Duration::ZERO).await?;
            if report.state != BlockJobState::Failed {
                return Err(error.into());
            }
            let why = report.error.unwrap_or_else(|| "its last step failed".to_owned());
            return self.unmake(definition, driver, context, pending, why).await;
        }
        self.replace_run_document(definition, &record.next())?;
        self.store_after(definition, record)?;
        lend::take_back(self, definition, record, &record.after).await?;
        self.finish_job(definition, pending, Standing::Made)
    }

    async fn unmake(
        &self,
        definition: &Definition,
        driver: &Driver,
        context: &DomainContext,
        pending: &mut Pending,
        why: String,
    ) -> Result<Standing, Error> {
        self.owner()?.journal().advance(&mut pending.intent, step::BEGUN)?;
        driver.settle_block_job(context, &pending.record.job).await?;
        lend::take_back(self, definition, &pending.record, &pending.record.before).await?;
        self.unmake_copy(&pending.intent, &pending.record)?;
        self.finish_job(definition, pending, Standing::Undone(why))
    }

    /// The record goes, and an event tells how it ended: also the command that let it begin, if another owner was faster.
    fn finish_job(
        &self,
        definition: &Definition,
        pending: &Pending,
        standing: Standing,
    ) -> Result<Standing, Error> {
        let job = &pending.record.job;
        let mut detail = std::collections::BTreeMap::from([
            (ENDED_JOB.to_owned(), pending.intent.id.to_string()),
            ("kind".to_owned(), job.kind.word().to_owned()),
            ("disk".to_owned(), job.target.clone()),
        ]);
        if job.changes_the_active_layer() {
            detail.insert("active".to_owned(), "yes".to_owned());
        }
        if let Some(image) = pending.record.chain.first() {
            detail.insert("image".to_owned(), image.path.display().to_string());
        }
        if pending.given_up {
            detail.insert("given-up".to_owned(), "yes".to_owned());
        }
        if let Standing::Undone(why) = &standing {
            detail.insert(ENDED_WHY.to_owned(), why.clone());
        }
        let (domain, name, kind) = (definition.uuid, definition.name.clone(), ENDED.to_owned());
        self.state().events().append(NewEvent { domain, name, kind, detail })?;
        self.owner()?.journal().finish(&pending.intent)?;
        Ok(standing)
    }

    /// How a job ended whose record is gone; nothing when nobody knows any more.
    pub(super) fn how_it_ended(&self, domain: uuid::Uuid, job: u64) -> Result<Option<Standing>, Error> {
        let id = job.to_string();
        let events = self.state().events().read_since(0)?.events;
        let ended = events.into_iter().rev().find(|event| {
            event.domain == domain && event.kind == ENDED && event.detail.get(ENDED_JOB) == Some(&id)
        });
        Ok(ended.map(|event| match event.detail.get(ENDED_WHY) {
            Some(why) => Standing::Undone(why.clone()),
            None => Standing::Made,
        }))
    }

    /// The hypervisor is gone, and the job with it.
    fn advance_without_guest(&self, definition: &Definition, pending: &Pending) -> Result<Standing, Error> {
        let made = pending.intent.step == step::DECIDED;
        if made {
            self.store_after(definition, &pending.record)?;
        }
        let standing = match made {
            true => Standing::Made,
            false => {
                self.unmake_copy(&pending.intent, &pending.record)?;
                Standing::Undone("the hypervisor ended".to_owned())
            }
        };
        self.finish_job(definition, pending, standing)
    }

    /// Writes the new chain into what is stored, where that was about the old one.
    fn store_after(&self, definition: &Definition, record: &Record) -> Result<(), Error> {
        let Some(stored) = self.state().definition_by_uuid(definition.uuid)? else { return Ok(()) };
        let Some(xml) = stored_after(&stored.xml, record)? else { return Ok(()) };
        let changed =
            Definition { xml, generation: stored.generation + 1, changed_unix_ms: unix_ms(), ..stored };
        Ok(self.owner()?.put_definition(&changed)?)
    }
}

/// The stored document with the new chain; nothing where it has it, or its disk is another one.
fn stored_after(xml: &str, record: &Record) -> Result<Option<String>, Error> {
    let target = record.job.target.as_str();
    let disk = |xml: &str| -> Result<Option<hostler_domain::disk::Disk>, Error> {
        let disks = hostler_domain::Domain::parse(xml)?.devices.disks;
        Ok(disks.into_iter().find(|disk| disk.target.as_str() == target))
    };
    let (Some(stored), Some(before), Some(after)) =
        (disk(xml)?, disk(&record.before.xml)?, disk(&record.after.xml)?)
    else {
        return Ok(None);
    };
    let layers = |disk: &hostler_domain::disk::Disk| {
        disk.source.layers().map(|layer| layer.location.clone()).collect::<Vec<_>>()
    };
    if layers(&stored) == layers(&after) && layers(&before) != layers(&after) {
        return Ok(None);
    }
    if stored.source.location != before.source.location {
        tracing::warn!(target, "the stored definition has another image there, and stays as it is");
        return Ok(None);
    }
    let changed = changed(xml, record)?;
    Ok((changed != xml).then_some(changed))
}

/// The layers that a job leaves out.
pub(super) fn left_out(record: &Record) -> LeftOut {
    let index = |layer: u32| usize::try_from(layer).unwrap_or(usize::MAX);
    LeftOut { top: index(record.job.top), base: record.job.base.map(index) }
}

/// A document with what a job makes of its disk.
fn changed(xml: &str, record: &Record) -> Result<String, Error> {
    match &record.copy {
        Some(copy) => with_copy(xml, &record.job.target, copy),
        None => without_layers(xml, &record.job.target, left_out(record), &record.chain),
    }
}

/// The run's document once a job is settled.
pub(super) fn document_after(before: &RunDocument, record: &Record) -> Result<RunDocument, Error> {
    let xml = changed(&before.xml, record)?;
    Ok(RunDocument { xml, ..before.clone() })
}

/// What a new owner does about a job: one that goes on is left to go on. Whether its record is finished.
pub(crate) async fn settle(host: &Host, intent: &Intent) -> Result<(), Error> {
    let Some(definition) = host.state().definition_by_uuid(intent.domain)? else {
        return Ok(host.owner()?.journal().finish(intent)?);
    };
    let mut pending = Pending::read(intent.clone())?;
    let standing = host.advance(&definition, &mut pending).await?;
    tracing::info!(
        domain = definition.name,
        target = pending.record.job.target,
        ?standing,
        "found a block job"
    );
    Ok(())
}

/// As [`settle`], where a failure must not keep anybody from their work.
pub(crate) async fn settle_or_tell(host: &Host, intent: &Intent) {
    if let Err(error) = settle(host, intent).await {
        tracing::warn!(id = intent.id, %error, "a block job cannot be settled; the next owner tries again");
    }
}

pub(super) fn gone(target: &str) -> Error {
    let message = format!("there is no job for disk '{target}'");
    Error::new(Kind::NotFound, "block.no-job", message)
        .hint_command("see which there are", "hostler block jobs")
}
