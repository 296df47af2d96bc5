//! The operations of a driver, as the contract lists them.

use hostler_launch::QmpEvent;

use crate::answer;
use crate::bindings::wit::qmp::Event;
use crate::bindings::wit::types::{Error, Fact};
use crate::context::{DomainContext, Purpose};
use crate::description::{Description, RunState};
use crate::driver::Driver;
use crate::error::{RuntimeError, RuntimeErrorKind};
use crate::limits;
use crate::operation::Operation;
use crate::recorded::Recorded;
use crate::request::{DumpWish, Keys, Reply, Request};
use crate::text;

/// Most counters of a domain: 200 disks with 12 each, and as many processors.
const COUNTERS: usize = 4096;
/// Most bytes of a counter's name, and of its value.
const COUNTER_BYTES: usize = 256;

/// What it comes to that a driver has no `screen`.
const NO_SCREEN: &str = ", so its guests have none";

/// What it comes to that a driver has no `save`.
const NO_SAVE: &str = ", so it puts no guest away";

impl Driver {
    /// Lets the driver describe itself.
    ///
    /// # Errors
    /// As every operation: [`RuntimeErrorKind::Trap`], [`RuntimeErrorKind::Timeout`] or
    /// [`RuntimeErrorKind::Memory`] of the driver, the host's own [`RuntimeErrorKind::Io`], or
    /// [`RuntimeErrorKind::Worker`] of the process that the driver runs in.
    pub async fn describe(&self) -> Result<Description, RuntimeError> {
        match self.call(None, Request::Describe).await?.0 {
            Reply::Described(described) => Ok(described.into()),
            _ => Err(self.answered_another(Operation::Describe)),
        }
    }

    /// Checks the domain's document and gives back the completed one. Opens and changes nothing, whatever the
    /// context's purpose is.
    ///
    /// # Errors
    /// As every operation; [`RuntimeErrorKind::Driver`] with line, column and element.
    pub async fn check(&self, context: &DomainContext) -> Result<String, RuntimeError> {
        let context = DomainContext { purpose: Purpose::Describe, ..context.clone() };
        let Reply::Document(checked) = self.call(Some(&context), Request::Check).await?.0 else {
            return Err(self.answered_another(Operation::Check));
        };
        let document = checked.map_err(|error| self.answered(Operation::Check, error))?;
        if document.len() > limits::DOCUMENT_BYTES {
            let why = format!("it completed the document to more than {} MiB", limits::DOCUMENT_BYTES >> 20);
            return Err(self.violation(Operation::Check, why));
        }
        Ok(document)
    }

    /// Starts the domain. When this returns the guest runs, or is paused with the option `paused = yes`.
    ///
    /// # Errors
    /// As every operation; [`RuntimeErrorKind::Driver`]. What was launched before the error is not undone here.
    pub async fn start(
        &self,
        context: &DomainContext,
        options: &[(String, String)],
    ) -> Result<(), RuntimeError> {
        let options = options.iter().map(|(key, value)| answer::fact(key, value)).collect();
        self.done(context, Request::Start(options)).await
    }

    /// Asks the guest to switch itself off.
    ///
    /// # Errors
    /// As every operation; [`RuntimeErrorKind::Driver`].
    pub async fn shutdown(&self, context: &DomainContext) -> Result<(), RuntimeError> {
        self.done(context, Request::Shutdown).await
    }

    /// Ends the domain now. When this returns, nothing of it runs.
    ///
    /// # Errors
    /// As every operation; [`RuntimeErrorKind::Driver`].
    pub async fn destroy(&self, context: &DomainContext) -> Result<(), RuntimeError> {
        self.done(context, Request::Destroy).await
    }

    /// Stops the guest's processors.
    ///
    /// # Errors
    /// As every operation; [`RuntimeErrorKind::Driver`].
    pub async fn suspend(&self, context: &DomainContext) -> Result<(), RuntimeError> {
        self.done(context, Request::Suspend).await
    }

    /// Lets the guest's processors go on.
    ///
    /// # Errors
    /// As every operation; [`RuntimeErrorKind::Driver`].
    pub async fn resume(&self, context: &DomainContext) -> Result<(), RuntimeError> {
        self.done(context, Request::Resume).await
    }

    /// Presses the reset button.
    ///
    /// # Errors
    /// As every operation; [`RuntimeErrorKind::Driver`].
    pub async fn reset(&self, context: &DomainContext) -> Result<(), RuntimeError> {
        self.done(context, Request::Reset).await
    }

    /// What the domain is doing, asked of the hypervisor itself.
    ///
    /// # Errors
    /// As every operation; [`RuntimeErrorKind::Driver`].
    pub async fn query(&self, context: &DomainContext) -> Result<RunState, RuntimeError> {
        self.state(context, Request::Query).await
    }

    /// Takes over a domain that runs already. [`RunState::Off`] means that nothing of it runs.
    ///
    /// # Errors
    /// As every operation; [`RuntimeErrorKind::Driver`].
    pub async fn reattach(&self, context: &DomainContext) -> Result<RunState, RuntimeError> {
        self.state(context, Request::Reattach).await
    }

    /// Tells the driver what the hypervisor said.
    ///
    /// # Errors
    /// As every operation; [`RuntimeErrorKind::Driver`].
    pub async fn on_event(&self, context: &DomainContext, event: &QmpEvent) -> Result<(), RuntimeError> {
        let event = Event { cursor: event.cursor, name: event.name.clone(), data: event.data.to_string() };
        self.done(context, Request::OnEvent(event)).await
    }

    /// Tells the driver that every domain that should run has been offered to [`Driver::reattach`].
    ///
    /// # Errors
    /// As every operation.
    pub async fn recovery_complete(&self) -> Result<(), RuntimeError> {
        self.call(None, Request::RecoveryComplete).await.map(drop)
    }

    /// Lets the driver put the guest away into the context's output. When this returns it is stopped, and all written.
    ///
    /// # Errors
    /// As every operation; [`RuntimeErrorKind::Driver`]; [`RuntimeErrorKind::Contract`] when the driver does not have
    /// the interface ([`Driver::has_save`]). The guest goes on as before after an error of the driver's own.
    pub async fn save(&self, context: &DomainContext) -> Result<(), RuntimeError> {
        self.require("save", NO_SAVE)?;
        self.done(context, Request::Save(Vec::new())).await
    }

    /// Starts the domain with the guest that the context's input brings.
    ///
    /// # Errors
    /// As for [`Driver::start`] and [`Driver::save`].
    pub async fn restore(
        &self,
        context: &DomainContext,
        options: &[(String, String)],
    ) -> Result<(), RuntimeError> {
        self.require("save", NO_SAVE)?;
        let options = options.iter().map(|(key, value)| answer::fact(key, value)).collect();
        self.done(context, Request::Restore(options)).await
    }

    /// Lets a guest go on whose save nobody wants any more.
    ///
    /// # Errors
    /// As for [`Driver::save`].
    pub async fn abandon_save(&self, context: &DomainContext) -> Result<(), RuntimeError> {
        self.require("save", NO_SAVE)?;
        self.done(context, Request::AbandonSave).await
    }

    /// Has a picture of what a display shows written to the context's output. Gives back its media type.
    ///
    /// # Errors
    /// As every operation; [`RuntimeErrorKind::Driver`]; [`RuntimeErrorKind::Contract`] when the driver does not have
    /// the interface ([`Driver::has_screen`]).
    pub async fn take_picture(&self, context: &DomainContext, display: u32) -> Result<String, RuntimeError> {
        self.require("screen", NO_SCREEN)?;
        match self.call(Some(context), Request::TakePicture(display)).await?.0 {
            Reply::Document(taken) => taken
                .map(|media_type| text::escape(&media_type, limits::EVENT_KIND_BYTES))
                .map_err(|error| self.answered(Operation::TakePicture, error)),
            _ => Err(self.answered_another(Operation::TakePicture)),
        }
    }

    /// Presses keys together, by their numbers among Linux's input event codes, and lets them go after `hold_ms`.
    ///
    /// # Errors
    /// As for [`Driver::take_picture`].
    pub async fn press_keys(
        &self,
        context: &DomainContext,
        keys: &[u32],
        hold_ms: u32,
    ) -> Result<(), RuntimeError> {
        self.require("screen", NO_SCREEN)?;
        self.done(context, Request::PressKeys(Keys { keys: keys.to_vec(), hold_ms })).await
    }

    /// Asks the guest to reboot.
    ///
    /// # Errors
    /// As every operation; [`RuntimeErrorKind::Driver`]; [`RuntimeErrorKind::Contract`] when the driver does not have
    /// the interface ([`Driver::has`]).
    pub async fn reboot(&self, context: &DomainContext) -> Result<(), RuntimeError> {
        self.require("reboot", "")?;
        self.done(context, Request::Reboot).await
    }

    /// Has the guest's memory written to the context's output, in a format by its name; with the options `begin` and
    /// `length`, in bytes, that much of it.
    ///
    /// # Errors
    /// As for [`Driver::reboot`].
    pub async fn dump(
        &self,
        context: &DomainContext,
        format: &str,
        options: &[(String, String)],
    ) -> Result<(), RuntimeError> {
        self.require("dump", "")?;
        let options = options.iter().map(|(key, value)| answer::fact(key, value)).collect();
        self.done(context, Request::Dump(DumpWish { format: format.to_owned(), options })).await
    }

    /// The counters of a running domain: untrusted text, escaped and limited.
    ///
    /// # Errors
    /// As for [`Driver::reboot`].
    pub async fn read_statistics(
        &self,
        context: &DomainContext,
    ) -> Result<Vec<(String, String)>, RuntimeError> {
        self.require("statistics", "")?;
        match self.call(Some(context), Request::ReadStatistics).await?.0 {
            Reply::Facts(Ok(facts)) => Ok(facts.into_iter().take(COUNTERS).map(counter).collect()),
            Reply::Facts(Err(error)) => Err(self.answered(Operation::ReadStatistics, error)),
            _ => Err(self.answered_another(Operation::ReadStatistics)),
        }
    }

    /// Refuses to ask a driver for what it does not have; `therefore` is how the sentence ends, or nothing.
    pub(crate) fn require(&self, ability: &str, therefore: &str) -> Result<(), RuntimeError> {
        if self.has(ability) {
            return Ok(());
        }
        let message = format!("the driver does not export hostler:driver/{ability}{therefore}");
        Err(RuntimeError::new(RuntimeErrorKind::Contract, message).of(self.identity()))
    }

    /// Lets the driver show the launch that [`Driver::start`] would ask for. Opens and starts nothing, whatever
    /// the context's purpose is.
    ///
    /// # Errors
    /// As every operation; [`RuntimeErrorKind::Driver`]; [`RuntimeErrorKind::Contract`] when the driver does not
    /// have the interface ([`Driver::has_native_config`]); a trap when it asked for no launch.
    pub async fn show(&self, context: &DomainContext) -> Result<Recorded, RuntimeError> {
        if !self.has_native_config() {
            let message = "the driver does not export hostler:driver/native-config, so it shows no launch";
            return Err(RuntimeError::new(RuntimeErrorKind::Contract, message)
                .hint("ask for another domain type, or install a driver that has it")
                .of(self.identity())
                .during(Operation::Show));
        }
        let purpose = match context.purpose {
            Purpose::Operate | Purpose::Examine => Purpose::Examine,
            shown @ (Purpose::Describe | Purpose::Compare) => shown,
        };
        let context = DomainContext { purpose, ..context.clone() };
        let (shown, state) = self.call(Some(&context), Request::Show).await?;
        let Reply::Done(shown) = shown else { return Err(self.answered_another(Operation::Show)) };
        shown.map_err(|error| self.answered(Operation::Show, error))?;
        state.recorded.ok_or_else(|| self.violation(Operation::Show, "it asked for no launch".to_owned()))
    }

    pub(crate) async fn done(&self, context: &DomainContext, request: Request) -> Result<(), RuntimeError> {
        let operation = request.operation();
        match self.call(Some(context), request).await?.0 {
            Reply::Done(done) => done.map_err(|error| self.answered(operation, error)),
            _ => Err(self.answered_another(operation)),
        }
    }

    async fn state(&self, context: &DomainContext, request: Request) -> Result<RunState, RuntimeError> {
        let operation = request.operation();
        match self.call(Some(context), request).await?.0 {
            Reply::State(state) => state.map(RunState::from).map_err(|error| self.answered(operation, error)),
            _ => Err(self.answered_another(operation)),
        }
    }

    pub(crate) fn answered(&self, operation: Operation, error: Error) -> RuntimeError {
        RuntimeError::from_problem(error.into()).of(self.identity()).during(operation)
    }

    /// Only a worker that is not itself any more can do this.
    pub(crate) fn answered_another(&self, operation: Operation) -> RuntimeError {
        self.violation(operation, "it answered another operation".to_owned())
    }

    fn violation(&self, operation: Operation, why: String) -> RuntimeError {
        let message = format!("the driver broke the contract: {why}");
        RuntimeError::new(RuntimeErrorKind::Trap, message).of(self.identity()).during(operation)
    }
}

/// A counter of a driver's, with the text of both sides limited.
fn counter(fact: Fact) -> (String, String) {
    (text::escape(&fact.key, COUNTER_BYTES), text::escape(&fact.value, COUNTER_BYTES))
}
