//! The operations of a driver, as the contract lists them.

use hostler_launch::QmpEvent;
use wasmtime::component::Resource;

use crate::answer;
use crate::bindings::driver::Driver as Instance;
use crate::bindings::wit::qmp::Event;
use crate::bindings::wit::types::{Error, Fact};
use crate::call::ContractViolation;
use crate::context::{DomainContext, Purpose};
use crate::description::{Description, RunState};
use crate::driver::{CallStore, Calling, Driver};
use crate::error::{RuntimeError, RuntimeErrorKind};
use crate::interfaces::domain::Domain;
use crate::limits;
use crate::operation::Operation;
use crate::recorded::Recorded;

impl Driver {
    /// Lets the driver describe itself.
    ///
    /// # Errors
    /// As every operation: [`RuntimeErrorKind::Trap`], [`RuntimeErrorKind::Timeout`] or
    /// [`RuntimeErrorKind::Memory`] of the driver, or the host's own [`RuntimeErrorKind::Io`].
    pub async fn describe(&self) -> Result<Description, RuntimeError> {
        let (described, _) = self
            .call(Operation::Describe, None, |loaded, store, _| {
                Box::pin(async move {
                    let instance = loaded.driver.instantiate_async(&mut *store).await?;
                    instance.hostler_driver_about().call_describe(store).await
                })
            })
            .await?;
        Ok(described.into())
    }

    /// Checks the domain's document and gives back the completed one. Opens and changes nothing, whatever the
    /// context's purpose is.
    ///
    /// # Errors
    /// As every operation; [`RuntimeErrorKind::Driver`] with line, column and element.
    pub async fn check(&self, context: &DomainContext) -> Result<String, RuntimeError> {
        let context = DomainContext { purpose: Purpose::Describe, ..context.clone() };
        let document = self
            .lifecycle(Operation::Check, &context, |instance, store, domain| {
                Box::pin(async move { instance.hostler_driver_lifecycle().call_check(store, domain).await })
            })
            .await?;
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
        let options: Vec<Fact> = options.iter().map(|(key, value)| answer::fact(key, value)).collect();
        self.lifecycle(Operation::Start, context, |instance, store, domain| {
            Box::pin(
                async move { instance.hostler_driver_lifecycle().call_start(store, domain, &options).await },
            )
        })
        .await
    }

    /// Asks the guest to switch itself off.
    ///
    /// # Errors
    /// As every operation; [`RuntimeErrorKind::Driver`].
    pub async fn shutdown(&self, context: &DomainContext) -> Result<(), RuntimeError> {
        self.lifecycle(Operation::Shutdown, context, |instance, store, domain| {
            Box::pin(async move { instance.hostler_driver_lifecycle().call_shutdown(store, domain).await })
        })
        .await
    }

    /// Ends the domain now. When this returns, nothing of it runs.
    ///
    /// # Errors
    /// As every operation; [`RuntimeErrorKind::Driver`].
    pub async fn destroy(&self, context: &DomainContext) -> Result<(), RuntimeError> {
        self.lifecycle(Operation::Destroy, context, |instance, store, domain| {
            Box::pin(async move { instance.hostler_driver_lifecycle().call_destroy(store, domain).await })
        })
        .await
    }

    /// Stops the guest's processors.
    ///
    /// # Errors
    /// As every operation; [`RuntimeErrorKind::Driver`].
    pub async fn suspend(&self, context: &DomainContext) -> Result<(), RuntimeError> {
        self.lifecycle(Operation::Suspend, context, |instance, store, domain| {
            Box::pin(async move { instance.hostler_driver_lifecycle().call_suspend(store, domain).await })
        })
        .await
    }

    /// Lets the guest's processors go on.
    ///
    /// # Errors
    /// As every operation; [`RuntimeErrorKind::Driver`].
    pub async fn resume(&self, context: &DomainContext) -> Result<(), RuntimeError> {
        self.lifecycle(Operation::Resume, context, |instance, store, domain| {
            Box::pin(async move { instance.hostler_driver_lifecycle().call_resume(store, domain).await })
        })
        .await
    }

    /// Presses the reset button.
    ///
    /// # Errors
    /// As every operation; [`RuntimeErrorKind::Driver`].
    pub async fn reset(&self, context: &DomainContext) -> Result<(), RuntimeError> {
        self.lifecycle(Operation::Reset, context, |instance, store, domain| {
            Box::pin(async move { instance.hostler_driver_lifecycle().call_reset(store, domain).await })
        })
        .await
    }

    /// What the domain is doing, asked of the hypervisor itself.
    ///
    /// # Errors
    /// As every operation; [`RuntimeErrorKind::Driver`].
    pub async fn query(&self, context: &DomainContext) -> Result<RunState, RuntimeError> {
        self.lifecycle(Operation::Query, context, |instance, store, domain| {
            Box::pin(async move { instance.hostler_driver_lifecycle().call_query(store, domain).await })
        })
        .await
        .map(RunState::from)
    }

    /// Takes over a domain that runs already. [`RunState::Off`] means that nothing of it runs.
    ///
    /// # Errors
    /// As every operation; [`RuntimeErrorKind::Driver`].
    pub async fn reattach(&self, context: &DomainContext) -> Result<RunState, RuntimeError> {
        self.lifecycle(Operation::Reattach, context, |instance, store, domain| {
            Box::pin(async move { instance.hostler_driver_lifecycle().call_reattach(store, domain).await })
        })
        .await
        .map(RunState::from)
    }

    /// Tells the driver what the hypervisor said.
    ///
    /// # Errors
    /// As every operation; [`RuntimeErrorKind::Driver`].
    pub async fn on_event(&self, context: &DomainContext, event: &QmpEvent) -> Result<(), RuntimeError> {
        let event = Event { cursor: event.cursor, name: event.name.clone(), data: event.data.to_string() };
        self.lifecycle(Operation::OnEvent, context, |instance, store, domain| {
            Box::pin(
                async move { instance.hostler_driver_lifecycle().call_on_event(store, domain, &event).await },
            )
        })
        .await
    }

    /// Tells the driver that every domain that should run has been offered to [`Driver::reattach`].
    ///
    /// # Errors
    /// As every operation.
    pub async fn recovery_complete(&self) -> Result<(), RuntimeError> {
        self.call(Operation::RecoveryComplete, None, |loaded, store, _| {
            Box::pin(async move {
                let instance = loaded.driver.instantiate_async(&mut *store).await?;
                instance.hostler_driver_lifecycle().call_recovery_complete(store).await
            })
        })
        .await
        .map(|_| ())
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
        let (shown, state) = self
            .call(Operation::Show, Some(&context), |loaded, store, domain| {
                Box::pin(async move {
                    let (Some(ability), Some(domain)) = (&loaded.native_config, domain) else {
                        return Err(ContractViolation("native-config needs a domain".to_owned()).into());
                    };
                    let instance = ability.instantiate_async(&mut *store).await?;
                    instance.hostler_driver_native_config().call_show(store, domain).await
                })
            })
            .await?;
        shown.map_err(|error| self.answered(Operation::Show, error))?;
        state.recorded.ok_or_else(|| self.violation(Operation::Show, "it asked for no launch".to_owned()))
    }

    async fn lifecycle<T: Send>(
        &self,
        operation: Operation,
        context: &DomainContext,
        invoke: impl for<'a> FnOnce(
            &'a Instance,
            &'a mut CallStore,
            Resource<Domain>,
        ) -> Calling<'a, Result<T, Error>>
        + Send
        + 'static,
    ) -> Result<T, RuntimeError> {
        let (answer, _) = self
            .call(operation, Some(context), |loaded, store, domain| {
                Box::pin(async move {
                    let domain =
                        domain.ok_or_else(|| ContractViolation("an operation needs a domain".to_owned()))?;
                    let instance = loaded.driver.instantiate_async(&mut *store).await?;
                    invoke(&instance, store, domain).await
                })
            })
            .await?;
        answer.map_err(|error| self.answered(operation, error))
    }

    fn answered(&self, operation: Operation, error: Error) -> RuntimeError {
        RuntimeError::from_problem(error.into()).of(self.identity()).during(operation)
    }

    fn violation(&self, operation: Operation, why: String) -> RuntimeError {
        let message = format!("the driver broke the contract: {why}");
        RuntimeError::new(RuntimeErrorKind::Trap, message).of(self.identity()).during(operation)
    }
}
