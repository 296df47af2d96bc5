//! An overlay in the chain of a guest that runs, written by its hypervisor into what it stands on: one step of the deletion of
//! a snapshot.
//!
//! The job has a record of its own, which decides what the chain is. That of the deletion has what is known of the snapshots
//! afterwards: it is settled by looking whether the overlay is still in the chain. A job that works is left to work.

use std::path::PathBuf;
use std::time::Duration;

use hostler_domain::Domain;
use hostler_runtime::{BlockJobKind, inspect_disk};
use hostler_state::{Definition, Intent};
use serde::{Deserialize, Serialize};

use super::change::{self, Change, MergeNote, redefined};
use super::documents::without_layer;
use crate::block_jobs::{BlockJobSummary, Pending, Standing, Wanted};
use crate::error::Error;
use crate::host::Host;
use crate::recovery::verb;

/// The hypervisor was asked to merge: whether it has is found out from the chain.
pub(super) const MERGING: &str = "merging";

/// An overlay that a hypervisor merges.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LiveMerge {
    /// The disk that has it in its chain, by target name.
    pub(crate) target: String,
    pub(crate) merge: MergeNote,
}

/// How a merge stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Merged {
    /// The guest goes on without the overlay.
    Made,
    /// Its chain is as it was.
    Not,
    /// The hypervisor is at it.
    Works,
}

impl Host {
    /// Lets the hypervisor begin with the merge of a change, journalled.
    ///
    /// # Errors
    /// Why it does not begin: nothing of it is left then.
    pub(crate) async fn begin_merge(
        &self,
        definition: &Definition,
        live: LiveMerge,
        change: Change,
    ) -> Result<BlockJobSummary, Error> {
        let owner = self.owner()?;
        let path = |path: &PathBuf| Some(path.display().to_string());
        let wanted = Wanted {
            kind: BlockJobKind::Commit,
            target: live.target.clone(),
            top: path(&live.merge.overlay),
            base: path(&live.merge.into),
            active: true,
            bandwidth: None,
            // Who else depends on it was asked when the deletion was planned.
            force: true,
            relative: false,
        };
        let change = Change { live_merge: Some(live), ..change };
        let payload = change::note(&change)?;
        let intent = owner.journal().begin(verb::SNAPSHOT, definition.uuid, MERGING, payload)?;
        match self.begin_job(definition, &wanted, false).await {
            Ok(job) => Ok(job),
            Err(error) => {
                owner.journal().finish(&intent)?;
                Err(error)
            }
        }
    }

    /// Brings the merges of a domain that were begun to their ends, as far as their jobs are. The job that still works.
    ///
    /// # Errors
    /// What the driver, the hypervisor or writing says.
    pub(crate) async fn settle_merges(
        &self,
        definition: &Definition,
    ) -> Result<Option<BlockJobSummary>, Error> {
        let own = |intent: &Intent| {
            intent.verb == verb::SNAPSHOT && intent.domain == definition.uuid && intent.step == MERGING
        };
        for intent in self.state().pending()?.into_iter().filter(own) {
            if change::try_settle(self, &intent).await? {
                self.owner()?.journal().finish(&intent)?;
                continue;
            }
            let live = change::read(&intent)?.live_merge;
            if let Some(job) = live.and_then(|live| self.job_of_merge(definition, &live).transpose()) {
                return Ok(Some(self.summarise_job(definition, &job?, Duration::ZERO).await));
            }
        }
        Ok(None)
    }

    fn job_of_merge(&self, definition: &Definition, live: &LiveMerge) -> Result<Option<Pending>, Error> {
        let is_own = |job: &Pending| {
            let left_out = job.record.left_out().iter().map(|place| &place.path);
            job.record.job.target == live.target && left_out.eq([&live.merge.overlay])
        };
        Ok(self.pending_jobs(Some(definition))?.into_iter().find(is_own))
    }

    /// How a merge stands; one that only waits to be made is made.
    pub(super) async fn merge_stands(
        &self,
        definition: &Definition,
        live: &LiveMerge,
    ) -> Result<Merged, Error> {
        if let Some(job) = self.job_of_merge(definition, live)?
            && let Standing::Goes(_) = self.drive_job(definition, job).await?
        {
            return Ok(Merged::Works);
        }
        let chain = self.chain_of(definition, &live.target)?;
        Ok(if chain.contains(&live.merge.overlay) { Merged::Not } else { Merged::Made })
    }

    /// The images of a disk as the domain has it now, from the active one down; none when it has no such disk.
    pub(crate) fn chain_of(&self, definition: &Definition, target: &str) -> Result<Vec<PathBuf>, Error> {
        let domain = Domain::parse(&self.current_xml(definition)?)?;
        let disk = domain.devices.disks.iter().find(|disk| disk.target.as_str() == target);
        let volumes = self.current_volumes(definition)?;
        let layers = disk.map(|disk| inspect_disk(disk, &self.roots(), &volumes)).transpose()?;
        Ok(layers.into_iter().flatten().map(|layer| layer.path).collect())
    }

    /// Leaves the overlay out of what is stored, where the job has not done that.
    pub(super) fn finish_merge(&self, definition: &Definition, live: &LiveMerge) -> Result<(), Error> {
        let Some(stored) = self.state().definition_by_uuid(definition.uuid)? else { return Ok(()) };
        let xml = merged(&stored.xml, std::slice::from_ref(&live.merge))?;
        if xml == stored.xml {
            return Ok(());
        }
        Ok(self.owner()?.put_definition(&redefined(&stored, xml))?)
    }
}

/// A document after the merges.
///
/// # Errors
/// [`crate::Kind::Invalid`] for what is no document.
pub(crate) fn merged(xml: &str, merges: &[MergeNote]) -> Result<String, Error> {
    let mut xml = xml.to_owned();
    if merges.is_empty() {
        return Ok(xml);
    }
    for disk in Domain::parse(&xml.clone())?.devices.disks {
        for merge in merges {
            xml = without_layer(&xml, disk.target.as_str(), &merge.overlay, (&merge.into, &merge.format))?;
        }
    }
    Ok(xml)
}
