//! Small services on a running guest: the ability `upkeep`.

use crate::context::DomainContext;
use crate::driver::Driver;
use crate::error::RuntimeError;
use crate::request::{Question, Reply, Request, Threshold};

/// What it comes to that a driver has no `upkeep`.
const NO_UPKEEP: &str = ", so its hypervisor is asked nothing but what the other interfaces have";

impl Driver {
    /// Asks the hypervisor a question in its own words. Its answer, untrusted; for QEMU it is JSON.
    ///
    /// # Errors
    /// As every operation; [`crate::RuntimeErrorKind::Driver`]; [`crate::RuntimeErrorKind::Contract`] when the driver does
    /// not have the interface ([`Driver::has`]).
    pub async fn ask(
        &self,
        context: &DomainContext,
        question: &str,
        arguments: &str,
    ) -> Result<String, RuntimeError> {
        self.require("upkeep", NO_UPKEEP)?;
        let question = Question { name: question.to_owned(), arguments: arguments.to_owned() };
        let request = Request::Ask(question);
        let operation = request.operation();
        match self.call(Some(context), request).await?.0 {
            Reply::Document(told) => told.map_err(|error| self.answered(operation, error)),
            _ => Err(self.answered_another(operation)),
        }
    }

    /// Interrupts the processors of a guest in a way that it cannot mask.
    ///
    /// # Errors
    /// As for [`Driver::ask`].
    pub async fn interrupt(&self, context: &DomainContext) -> Result<(), RuntimeError> {
        self.tended(context, Request::Interrupt).await
    }

    /// Wakes a guest that sleeps.
    ///
    /// # Errors
    /// As for [`Driver::ask`].
    pub async fn wake(&self, context: &DomainContext) -> Result<(), RuntimeError> {
        self.tended(context, Request::Wake).await
    }

    /// How often a guest tells how it uses its memory, in seconds; 0 for never.
    ///
    /// # Errors
    /// As for [`Driver::ask`].
    pub async fn count_memory(&self, context: &DomainContext, seconds: u32) -> Result<(), RuntimeError> {
        self.tended(context, Request::CountMemory(seconds)).await
    }

    /// Has an event told, once, when something is written to a layer of a disk behind so many bytes; 0 for never.
    ///
    /// # Errors
    /// As for [`Driver::ask`].
    pub async fn watch_writes(
        &self,
        context: &DomainContext,
        target: &str,
        layer: u32,
        bytes: u64,
    ) -> Result<(), RuntimeError> {
        let threshold = Threshold { target: target.to_owned(), layer, bytes };
        self.tended(context, Request::WatchWrites(threshold)).await
    }

    /// Begins to measure how fast a guest changes its memory.
    ///
    /// # Errors
    /// As for [`Driver::ask`].
    pub async fn measure_writes(&self, context: &DomainContext, seconds: u32) -> Result<(), RuntimeError> {
        self.tended(context, Request::MeasureWrites(seconds)).await
    }

    async fn tended(&self, context: &DomainContext, request: Request) -> Result<(), RuntimeError> {
        self.require("upkeep", NO_UPKEEP)?;
        self.done(context, request).await
    }
}
