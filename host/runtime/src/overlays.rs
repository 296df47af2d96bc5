//! The operations on the disks of a running guest that go on in overlays.

use crate::context::DomainContext;
use crate::driver::Driver;
use crate::error::RuntimeError;
use crate::request::{Reply, Request};

/// What it comes to that a driver has no `snapshots`.
const NO_SNAPSHOTS: &str = ", so disks of its running guests stay as they are";

impl Driver {
    /// Has the guest write to the images of the context's next document from now on, for these disks.
    ///
    /// # Errors
    /// As every operation; [`crate::RuntimeErrorKind::Driver`]; [`crate::RuntimeErrorKind::Contract`] when the driver does not have
    /// the interface ([`Driver::has`]).
    pub async fn overlay(&self, context: &DomainContext, targets: &[String]) -> Result<(), RuntimeError> {
        self.require("snapshots", NO_SNAPSHOTS)?;
        self.done(context, Request::Overlay(targets.to_vec())).await
    }

    /// Whether the guest writes to the images of the context's next document; those that it does not write to are closed.
    ///
    /// # Errors
    /// As for [`Driver::overlay`].
    pub async fn settle_overlay(
        &self,
        context: &DomainContext,
        targets: &[String],
    ) -> Result<bool, RuntimeError> {
        self.require("snapshots", NO_SNAPSHOTS)?;
        let request = Request::SettleOverlay(targets.to_vec());
        let operation = request.operation();
        match self.call(Some(context), request).await?.0 {
            Reply::Whether(found) => found.map_err(|error| self.answered(operation, error)),
            _ => Err(self.answered_another(operation)),
        }
    }
}
