//! What an owner that stays does meanwhile: what the next owner would do first.

use std::path::PathBuf;
use std::time::Duration;

use hostler_launch::{ShimClient, ShimErrorKind};
use hostler_state::Uuid;

use crate::catch_up;
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::migration::{MigrationAddress, MigrationListener};
use crate::process;
use crate::recovery::{self, verb};
use crate::verbs::hotplug;

/// The last number of a place where a guest is waited for: a daemon waits for fewer at once.
const ARRIVALS: u32 = 127;

impl Host {
    /// The directory of a domain's run, for what is to be gone with it.
    #[must_use]
    pub fn run_directory(&self, domain: Uuid) -> PathBuf {
        self.state().run_dir(domain).path().to_owned()
    }

    /// A place of this state directory's own where a guest is waited for: the first that is free.
    ///
    /// # Errors
    /// As for [`MigrationListener::open`]; [`crate::Kind::Exists`] when guests are waited for at all of them.
    pub async fn arrival_listener(&self) -> Result<MigrationListener, Error> {
        let place = |number: u32| self.state().root().join(format!("arrival-{number}.sock"));
        let mut number = 0;
        loop {
            let address =
                MigrationAddress::Unix(std::path::absolute(place(number)).unwrap_or_else(|_| place(number)));
            match MigrationListener::open(&address, false).await {
                Err(error) if error.kind == Kind::Exists && number < ARRIVALS => number += 1,
                opened => return opened,
            }
        }
    }

    /// Finishes or undoes a change of a domain's snapshots that was begun and could not be finished then, for want of room as
    /// a rule. For whoever has the domain to itself, before it changes anything: what is left may decide on which images
    /// the domain stands.
    ///
    /// # Errors
    /// [`crate::Kind::Host`] when the state directory cannot be read or written.
    pub async fn settle_snapshots(&self, domain: Uuid) -> Result<(), Error> {
        let owner = self.owner()?;
        for intent in self.state().pending()? {
            let left = intent.domain == domain && intent.verb == verb::SNAPSHOT;
            if left && crate::snapshots::change::settle(self, &intent).await {
                owner.journal().finish(&intent)?;
            }
        }
        Ok(())
    }

    /// The domains whose processes this host holds now.
    ///
    /// # Errors
    /// [`crate::Kind::Host`] when the state directory cannot be read.
    pub fn running(&self) -> Result<Vec<Uuid>, Error> {
        let mut running = Vec::new();
        for domain in self.state().runs()? {
            if self.state().is_held(domain)? {
                running.push(domain);
            }
        }
        Ok(running)
    }

    /// Waits until the hypervisor of a domain says something, for `wait` at most, and passes it on to the domain's driver.
    /// Whether the domain still runs.
    ///
    /// # Errors
    /// What the shim or the state directory answers; what was said is passed on by the next call.
    pub async fn pass_on_events(&self, domain: Uuid, wait: Duration) -> Result<bool, Error> {
        let run = self.state().run_dir(domain);
        if !run.is_held()? {
            return Ok(false);
        }
        let seen = catch_up::seen(&run)?;
        let shim = ShimClient::of(&run);
        match process::blocking(move || shim.wait_event(&[], seen, wait)).await? {
            Ok(Some(event)) => catch_up::with_event(self, &run, &event).await?,
            // What is lost is told too.
            Err(error) if error.kind == ShimErrorKind::EventsLost => {
                catch_up::with_events_of(self, &run).await?;
            }
            Err(error) if matches!(error.kind, ShimErrorKind::NotRunning | ShimErrorKind::Closed) => {}
            Ok(None) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(run.is_held()?)
    }

    /// Finishes what of a domain waits for something that has happened by now: jobs on its disks, devices that its guest was
    /// asked to let go of; and forgets it when it was transient and has ended. For whoever has the domain to itself.
    ///
    /// # Errors
    /// [`crate::Kind::Host`] when the state directory cannot be read or written.
    pub async fn settle_domain(&self, domain: Uuid) -> Result<(), Error> {
        self.owner()?;
        for intent in self.state().pending()? {
            if intent.domain == domain && intent.verb == verb::BLOCK_JOB {
                crate::block_jobs::settle_or_tell(self, &intent).await;
            }
        }
        self.settle_snapshots(domain).await?;
        hotplug::settle_leaving(self).await?;
        let Some(definition) = self.state().definition_by_uuid(domain)? else { return Ok(()) };
        if !definition.persistent
            && !self.runs_without_process(definition.uuid, &definition.driver)?
            && !self.state().run_dir(domain).is_held()?
        {
            recovery::remove_transient(self, definition.uuid)?;
        }
        Ok(())
    }
}
