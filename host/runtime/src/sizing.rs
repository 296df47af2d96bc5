//! A running guest that gets more or less: the ability `sizing`.

use serde::Serialize;

use crate::bindings::sizing::exports::hostler::driver::sizing as wit;
use crate::context::DomainContext;
use crate::driver::Driver;
use crate::error::RuntimeError;
use crate::request::{Reply, Request};

/// What it comes to that a driver has no `sizing`.
const NO_SIZING: &str = ", so its guests keep what they were started with";

/// What a guest has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Amounts {
    /// Memory that the guest can use, in bytes.
    pub memory: u64,
    /// Processors that the machine has plugged in.
    pub vcpus: u32,
}

impl From<wit::Amounts> for Amounts {
    fn from(told: wit::Amounts) -> Self {
        Self { memory: told.memory, vcpus: told.vcpus }
    }
}

impl Driver {
    /// What a guest has now.
    ///
    /// # Errors
    /// As every operation; [`crate::RuntimeErrorKind::Driver`]; [`crate::RuntimeErrorKind::Contract`] when the driver does
    /// not have the interface ([`Driver::has`]).
    pub async fn read_amounts(&self, context: &DomainContext) -> Result<Amounts, RuntimeError> {
        self.amounts(context, Request::ReadAmounts).await
    }

    /// Asks a guest to do with so many bytes of memory. What it has after at most a few seconds.
    ///
    /// # Errors
    /// As for [`Driver::read_amounts`].
    pub async fn set_memory(&self, context: &DomainContext, bytes: u64) -> Result<Amounts, RuntimeError> {
        self.amounts(context, Request::SetMemory(bytes)).await
    }

    /// Plugs processors in or out. How many there are after at most a few seconds.
    ///
    /// # Errors
    /// As for [`Driver::read_amounts`].
    pub async fn set_vcpus(&self, context: &DomainContext, count: u32) -> Result<Amounts, RuntimeError> {
        self.amounts(context, Request::SetVcpus(count)).await
    }

    async fn amounts(&self, context: &DomainContext, request: Request) -> Result<Amounts, RuntimeError> {
        self.require("sizing", NO_SIZING)?;
        let operation = request.operation();
        match self.call(Some(context), request).await?.0 {
            Reply::Amounts(told) => told.map(Amounts::from).map_err(|error| self.answered(operation, error)),
            _ => Err(self.answered_another(operation)),
        }
    }
}
