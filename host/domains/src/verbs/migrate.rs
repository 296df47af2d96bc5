//! `migrate`: lets a running guest go on in another state directory.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hostler_runtime::{Driver, MigrationReport, MigrationState, Transfer};
use hostler_state::{Definition, Intent, MigrationOutcome, Uuid};
use rustix::net::{Shutdown, shutdown};

use crate::context::Purpose;
use crate::error::{Error, Kind, command};
use crate::host::Host;
use crate::migration::{
    Channel, Direction, FirstLine, Given, Message, MigrateOptions, Migrated, MigrationAddress,
    MigrationWatch, Offer, SHORT_WAIT, in_doubt, step,
};
use crate::recovery::verb;
use crate::reference::DomainRef;
use crate::snapshots::require_no_snapshots;
use crate::summary::{DomainSummary, RunState};

/// How long the destination may take to look at a guest and to start a hypervisor for it.
const READY_WAIT: Duration = Duration::from_secs(120);
/// How long it may take, from when all is written, to have read it.
const RECEIVED_WAIT: Duration = Duration::from_secs(120);
/// How long it may take to let the guest go on.
const GO_WAIT: Duration = Duration::from_secs(60);
/// How long one wait for news of the hypervisor is.
const NEWS: Duration = Duration::from_millis(500);

/// One guest on its way.
struct Sending<'a> {
    host: &'a Host,
    definition: &'a Definition,
    driver: Arc<Driver>,
    channel: Channel,
    intent: Intent,
    given: Given,
    /// The connection that the hypervisor writes to.
    data: Arc<OwnedFd>,
}

impl Host {
    /// Lets a running guest go on at a destination that waits for it with [`Host::receive`]. Its disks must be the same
    /// files there; a variable store that this host has made goes with the guest.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when it does not run, or the destination refuses it; [`Kind::NotFound`] when nobody waits there;
    /// [`Kind::Unsupported`] for a guest that cannot be moved. The guest goes on here as before then, but for
    /// `migration.in-doubt`: then it is stopped here until it is seen what the destination has done.
    pub async fn migrate(
        &self,
        wanted: &DomainRef,
        to: &MigrationAddress,
        options: MigrateOptions,
        watch: &mut MigrationWatch<'_>,
    ) -> Result<Migrated, Error> {
        let definition = self.active(wanted).await?;
        let driver = self.with_ability(&definition, "migration")?;
        self.require_nothing_unfinished(&definition, options)?;
        let offer = self.offer(&definition, options).await?;
        let (channel, given, data) = self.offer_to(&definition, offer, to, options).await?;
        let payload = serde_json::to_value(&given).map_err(unjournalled)?;
        let intent = self.owner()?.journal().begin(verb::MIGRATE, definition.uuid, step::BEGUN, payload)?;
        let data = Arc::new(data);
        let mut sending =
            Sending { host: self, definition: &definition, driver, channel, intent, given, data };
        let began = Instant::now();
        let sent = sending.send(to, options, watch).await;
        let (report, stood_still) = match sent {
            Ok(sent) => sent,
            Err(error) if sending.intent.step == step::GIVEN => return Err(error),
            Err(error) => return Err(sending.take_back(error).await),
        };
        self.end_moved(&definition, &sending.given).await?;
        self.owner()?.journal().finish(&sending.intent)?;
        let there = self.state().definition_by_uuid(definition.uuid)?;
        Ok(Migrated {
            summary: self.after_migration(&definition).await?,
            to: to.to_string(),
            downtime_ms: report.number("downtime").unwrap_or_default() + millis(stood_still),
            total_ms: millis(began.elapsed()),
            transferred: report.number("transferred").unwrap_or_default(),
            undefined: there.is_none(),
        })
    }

    /// Takes a guest back that was given away and never went on where it was given to, as the user says.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when it was not given away, or its images are in use where it was given to.
    pub async fn take_guest_back(&self, wanted: &DomainRef) -> Result<DomainSummary, Error> {
        self.owner()?;
        let definition = self.find(wanted)?;
        let Some(mut intent) = self.given_away(&definition)? else {
            let message = format!("the guest of '{}' was not given away", definition.name);
            return Err(Error::new(Kind::Conflict, "migration.none", message)
                .about("domain", &definition.name)
                .hint_command("see how it stands", command("show", &definition.name)));
        };
        let given = Given::of(&intent)?;
        if given.outcome() == Some(MigrationOutcome::Taken) {
            let message = format!("the guest of '{}' went on at {}, and is there", definition.name, given.to);
            return Err(
                Error::new(Kind::Conflict, "migration.taken", message).about("domain", &definition.name)
            );
        }
        self.take_back(&definition).await?;
        self.owner()?.journal().advance(&mut intent, step::BEGUN)?;
        self.owner()?.journal().finish(&intent)?;
        self.summarise(&definition).await
    }

    /// Refuses a guest with something going on that would not go with it.
    fn require_nothing_unfinished(
        &self,
        definition: &Definition,
        options: MigrateOptions,
    ) -> Result<(), Error> {
        self.require_no_unfinished_change(definition)?;
        self.require_no_jobs(definition)?;
        if options.undefine_source {
            require_no_snapshots(self, definition)?;
        }
        Ok(())
    }

    async fn offer(&self, definition: &Definition, options: MigrateOptions) -> Result<Offer, Error> {
        let state = self.query(definition).await?;
        if state != RunState::Running {
            let message = format!("the domain '{}' is {}", definition.name, state.word());
            let error = Error::new(Kind::Conflict, "domain.state", message)
                .about("domain", &definition.name)
                .hint("only a guest that runs can be sent: a hypervisor keeps the locks of its images while it is stopped");
            return Err(match state {
                RunState::Paused => error.hint_command(
                    "let it go on, and send it with --paused to have it stopped there",
                    command("resume", &definition.name),
                ),
                _ => error,
            });
        }
        let document = self.current_xml(definition)?;
        let stored = (options.persist && definition.persistent).then(|| definition.xml.clone());
        Ok(Offer {
            id: Uuid::new_v4(),
            name: definition.name.clone(),
            driver: definition.driver.clone(),
            document,
            definition: stored,
            persist: options.persist,
            running: !options.paused,
        })
    }

    /// Offers a guest, and waits until the destination is ready for its bytes.
    async fn offer_to(
        &self,
        definition: &Definition,
        offer: Offer,
        to: &MigrationAddress,
        options: MigrateOptions,
    ) -> Result<(Channel, Given, OwnedFd), Error> {
        let id = offer.id;
        let mut stream = to.connect(options.insecure_network).await?;
        stream.introduce(&FirstLine::Control).await.map_err(|error| unsent(to, error))?;
        let mut channel = Channel::over(stream);
        channel.send(&Message::Offer(Box::new(offer))).await?;
        match channel.receive(READY_WAIT).await? {
            Message::Ready { token, state_dir } => {
                let mut data = to.connect(options.insecure_network).await?;
                data.introduce(&FirstLine::Data(token)).await.map_err(|error| unsent(to, error))?;
                let data = data.into_fd(Direction::Out).map_err(|error| unsent(to, error))?;
                let given = Given { id, to: to.to_string(), state_dir, undefine: options.undefine_source };
                Ok((channel, given, data))
            }
            Message::Refused(refusal) => Err(refusal.into_error(&definition.name)),
            other => Err(unexpected(&other)),
        }
    }

    async fn after_migration(&self, definition: &Definition) -> Result<DomainSummary, Error> {
        let mut summary = self.summarise(definition).await?;
        summary.persistent = definition.persistent;
        Ok(summary)
    }
}

impl Sending<'_> {
    /// Everything up to that the guest runs there. How it was, and how long it stood still after it was all written.
    async fn send(
        &mut self,
        to: &MigrationAddress,
        options: MigrateOptions,
        watch: &mut MigrationWatch<'_>,
    ) -> Result<(MigrationReport, Duration), Error> {
        self.begin(to, options).await?;
        let (report, is_received) = self.copy(watch).await?;
        let written = Instant::now();
        if !is_received {
            match self.channel.receive(RECEIVED_WAIT).await? {
                Message::Received => {}
                other => return Err(self.other_than_expected(other)),
            }
        }
        if (watch.cancelled)() {
            return Err(cancelled());
        }
        self.host.owner()?.journal().advance(&mut self.intent, step::GIVEN)?;
        self.give(GO_WAIT).await?;
        Ok((report, written.elapsed()))
    }

    async fn begin(&self, to: &MigrationAddress, options: MigrateOptions) -> Result<(), Error> {
        self.host.freshen_all(self.definition).await?;
        let mut context = self.host.context(self.definition, Purpose::Operate)?;
        context.transfer = Some(Transfer::Output(Arc::clone(&self.data), to.to_string().into()));
        let pace = self.host.paces.of(self.definition.uuid);
        let numbers = [
            ("bandwidth", options.bandwidth.or(pace.bandwidth)),
            ("downtime", options.downtime_ms.or(pace.downtime_ms)),
        ];
        let facts: Vec<_> = numbers
            .into_iter()
            .filter_map(|(key, number)| Some((key.to_owned(), number?.to_string())))
            .collect();
        Ok(self.driver.begin_migration(&context, &facts).await?)
    }

    /// Waits until all is written; and whether the destination has said that it has it. The destination may refuse the guest,
    /// and the user may think better of it, meanwhile.
    async fn copy(&mut self, watch: &mut MigrationWatch<'_>) -> Result<(MigrationReport, bool), Error> {
        let mut is_received = false;
        loop {
            let context = self.host.context(self.definition, Purpose::Operate)?;
            let report = self.driver.report_migration(&context, NEWS).await?;
            match report.state {
                MigrationState::Done => return Ok((report, is_received)),
                MigrationState::Running => {}
                MigrationState::None | MigrationState::Failed => return Err(self.broken(report).await),
            }
            if let (Some(total), Some(left)) = (report.number("memory-total"), report.number("memory-left"))
                && total > 0
            {
                #[expect(clippy::cast_precision_loss, reason = "a share that is shown")]
                (watch.tell)(1.0 - left.min(total) as f64 / total as f64);
            }
            if (watch.cancelled)() {
                return Err(cancelled());
            }
            match self.channel.receive_within(Duration::ZERO).await? {
                None => {}
                // It has the last byte before the report that says so is asked for.
                Some(Message::Received) if !is_received => is_received = true,
                Some(other) => return Err(self.other_than_expected(other)),
            }
        }
    }

    /// Why the hypervisor stopped writing: most often the destination knows better.
    async fn broken(&mut self, report: MigrationReport) -> Error {
        if let Ok(Message::Refused(refusal)) = self.channel.receive(SHORT_WAIT).await {
            return refusal.into_error(&self.definition.name);
        }
        let why = report.error.unwrap_or_else(|| "its hypervisor does not say why".to_owned());
        let message = format!("the guest of '{}' could not be sent: {why}", self.definition.name);
        Error::new(Kind::Hypervisor, "migration.failed", message).about("domain", &self.definition.name)
    }

    fn other_than_expected(&self, message: Message) -> Error {
        match message {
            Message::Refused(refusal) => refusal.into_error(&self.definition.name),
            other => unexpected(&other),
        }
    }

    /// Lets the guest go on there. Without an answer, what the destination has written down counts.
    async fn give(&mut self, wait: Duration) -> Result<(), Error> {
        let answered = match self.channel.send(&Message::Go).await {
            Ok(()) => self.channel.receive(wait).await,
            Err(error) => Err(error),
        };
        let outcome = match answered {
            Ok(Message::Runs) => Some(MigrationOutcome::Taken),
            Ok(Message::Refused(refusal)) => {
                self.host.owner()?.journal().advance(&mut self.intent, step::BEGUN)?;
                return Err(refusal.into_error(&self.definition.name));
            }
            Ok(_) | Err(_) => self.given.outcome(),
        };
        match outcome {
            Some(MigrationOutcome::Taken) => {
                Ok(self.host.owner()?.journal().advance(&mut self.intent, step::MOVED)?)
            }
            Some(MigrationOutcome::Refused) => {
                self.host.owner()?.journal().advance(&mut self.intent, step::BEGUN)?;
                let message =
                    format!("the destination was stopped before '{}' went on there", self.definition.name);
                Err(Error::new(Kind::Conflict, "migration.refused", message)
                    .about("domain", &self.definition.name))
            }
            None => Err(in_doubt(self.definition, &self.given)),
        }
    }

    /// The guest goes on here. Where that cannot be done the next owner tries again.
    async fn take_back(self, error: Error) -> Error {
        // A hypervisor keeps a descriptor that it could not use, and the destination would wait for its end.
        if let Err(error) = shutdown(&*self.data, Shutdown::Both) {
            tracing::debug!(%error, "the connection of the migration is closed already");
        }
        let back = match self.host.take_back(self.definition).await {
            Ok(()) => self.host.owner().and_then(|owner| Ok(owner.journal().finish(&self.intent)?)),
            Err(left) => Err(left),
        };
        match back {
            Ok(()) => error,
            Err(left) => error.hint(format!("it is not as it was, the next command tries again: {left}")),
        }
    }
}

fn unexpected(message: &Message) -> Error {
    let what = match message {
        Message::Offer(_) => "offer",
        Message::Ready { .. } => "ready",
        Message::Refused(_) => "refused",
        Message::Received => "received",
        Message::Go => "go",
        Message::Runs => "runs",
    };
    let message = format!("the other side of the migration said '{what}' out of turn");
    Error::new(Kind::Invalid, "migration.protocol", message)
}

fn cancelled() -> Error {
    Error::new(Kind::Conflict, "migration.cancelled", "the migration was given up; the guest goes on here")
}

fn unsent(to: &MigrationAddress, error: std::io::Error) -> Error {
    Error::new(Kind::Host, "migration.lost", format!("the connection to {to} broke")).caused_by(error)
}

fn unjournalled(error: serde_json::Error) -> Error {
    Error::new(Kind::Host, "migration.record", "a migration cannot be written down").caused_by(error)
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
