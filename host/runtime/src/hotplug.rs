//! The operations on devices of a running guest.

use crate::answer;
use crate::bindings::hotplug::exports::hostler::driver::hotplug::Presence;
use crate::context::DomainContext;
use crate::driver::Driver;
use crate::error::RuntimeError;
use crate::request::{Change, Reply, Request};

/// What it comes to that a driver has no `hotplug`.
const NO_HOTPLUG: &str = ", so its guests keep their devices";

impl Driver {
    /// Plugs in the device that the context's next document has at this place.
    ///
    /// # Errors
    /// As every operation; [`crate::RuntimeErrorKind::Driver`]; [`crate::RuntimeErrorKind::Contract`] when the driver does not have
    /// the interface ([`Driver::has`]).
    pub async fn attach(&self, context: &DomainContext, device: u32) -> Result<(), RuntimeError> {
        self.require("hotplug", NO_HOTPLUG)?;
        self.done(context, Request::Attach(device)).await
    }

    /// Takes out the device that the context's document has at this place. `false` when the guest was asked and has it
    /// still.
    ///
    /// # Errors
    /// As for [`Driver::attach`].
    pub async fn detach(&self, context: &DomainContext, device: u32) -> Result<bool, RuntimeError> {
        Ok(!self.presence(context, Request::Detach(device)).await?)
    }

    /// Makes the device at this place what the context's next document says.
    ///
    /// # Errors
    /// As for [`Driver::attach`].
    pub async fn update_device(
        &self,
        context: &DomainContext,
        device: u32,
        options: &[(String, String)],
    ) -> Result<(), RuntimeError> {
        self.require("hotplug", NO_HOTPLUG)?;
        let options = options.iter().map(|(key, value)| answer::fact(key, value)).collect();
        self.done(context, Request::UpdateDevice(Change { device, options })).await
    }

    /// Whether the guest has the device that the context's next document has at this place; of one that it does not have
    /// nothing is left then.
    ///
    /// # Errors
    /// As for [`Driver::attach`].
    pub async fn settle_device(&self, context: &DomainContext, device: u32) -> Result<bool, RuntimeError> {
        self.presence(context, Request::SettleDevice(device)).await
    }

    async fn presence(&self, context: &DomainContext, request: Request) -> Result<bool, RuntimeError> {
        self.require("hotplug", NO_HOTPLUG)?;
        let operation = request.operation();
        match self.call(Some(context), request).await?.0 {
            Reply::Presence(found) => found
                .map(|presence| presence == Presence::Present)
                .map_err(|error| self.answered(operation, error)),
            _ => Err(self.answered_another(operation)),
        }
    }
}
