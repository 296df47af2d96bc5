//! A running guest that goes on in another hypervisor: the ability `migration`.

use std::time::Duration;

use serde::Serialize;

use crate::answer;
use crate::bindings::migration::exports::hostler::driver::migration as wit;
use crate::context::DomainContext;
use crate::driver::Driver;
use crate::error::RuntimeError;
use crate::limits;
use crate::operation::Operation;
use crate::request::{Reply, Request};
use crate::text;

/// What it comes to that a driver has no `migration`.
const NO_MIGRATION: &str = ", so its guests stay where they are";

/// How a migration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MigrationState {
    /// There is none.
    None,
    /// The guest runs, and what it has is copied.
    Running,
    /// Everything is written, and the guest is stopped.
    Done,
    /// It failed or was cancelled.
    Failed,
}

/// A migration as its hypervisor has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MigrationReport {
    /// How it stands.
    pub state: MigrationState,
    /// What is known of it, by key: untrusted text, escaped and limited.
    pub facts: Vec<(String, String)>,
    /// Why it failed.
    pub error: Option<String>,
}

impl MigrationReport {
    /// A number that is known of it.
    #[must_use]
    pub fn number(&self, key: &str) -> Option<u64> {
        self.facts.iter().find(|(found, _)| found == key)?.1.parse().ok()
    }
}

impl From<wit::MigrationReport> for MigrationReport {
    fn from(told: wit::MigrationReport) -> Self {
        let short = |text: &str| text::escape(text, limits::EVENT_KIND_BYTES);
        Self {
            state: match told.state {
                wit::MigrationState::None => MigrationState::None,
                wit::MigrationState::Running => MigrationState::Running,
                wit::MigrationState::Done => MigrationState::Done,
                wit::MigrationState::Failed => MigrationState::Failed,
            },
            facts: told
                .facts
                .iter()
                .take(limits::FACTS)
                .map(|fact| (short(&fact.key), short(&fact.value)))
                .collect(),
            error: told.error.map(|error| text::escape(&error, limits::TEXT_BYTES)),
        }
    }
}

impl Driver {
    /// Lets a guest begin to be written to the context's output while it goes on.
    ///
    /// # Errors
    /// As every operation; [`crate::RuntimeErrorKind::Driver`]; [`crate::RuntimeErrorKind::Contract`] when the driver does
    /// not have the interface ([`Driver::has`]). Nothing is written after an error of the driver's own.
    pub async fn begin_migration(
        &self,
        context: &DomainContext,
        options: &[(String, String)],
    ) -> Result<(), RuntimeError> {
        self.require("migration", NO_MIGRATION)?;
        let options = options.iter().map(|(key, value)| answer::fact(key, value)).collect();
        self.done(context, Request::BeginMigration(options)).await
    }

    /// How a migration stands; waits for at most `wait` while the guest is copied.
    ///
    /// # Errors
    /// As for [`Driver::begin_migration`].
    pub async fn report_migration(
        &self,
        context: &DomainContext,
        wait: Duration,
    ) -> Result<MigrationReport, RuntimeError> {
        self.require("migration", NO_MIGRATION)?;
        let timeout_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        match self.call(Some(context), Request::ReportMigration(timeout_ms)).await?.0 {
            Reply::MigrationReported(report) => report
                .map(MigrationReport::from)
                .map_err(|error| self.answered(Operation::ReportMigration, error)),
            _ => Err(self.answered_another(Operation::ReportMigration)),
        }
    }

    /// Lets a guest go on here that was to go on elsewhere.
    ///
    /// # Errors
    /// As for [`Driver::begin_migration`].
    pub async fn abandon_migration(&self, context: &DomainContext) -> Result<(), RuntimeError> {
        self.require("migration", NO_MIGRATION)?;
        self.done(context, Request::AbandonMigration).await
    }

    /// Starts the domain's hypervisor without a guest, ready for one that is brought.
    ///
    /// # Errors
    /// As for [`Driver::start`] and [`Driver::begin_migration`].
    pub async fn prepare_guest(&self, context: &DomainContext) -> Result<(), RuntimeError> {
        self.require("migration", NO_MIGRATION)?;
        self.done(context, Request::PrepareGuest(Vec::new())).await
    }

    /// Reads the guest that the context's input brings. It is there and stopped when this returns.
    ///
    /// # Errors
    /// As for [`Driver::begin_migration`].
    pub async fn receive_guest(&self, context: &DomainContext) -> Result<(), RuntimeError> {
        self.require("migration", NO_MIGRATION)?;
        self.done(context, Request::ReceiveGuest).await
    }
}
