//! The operations that keep a running guest: its disks in overlays, or everything within the images.

use serde::{Deserialize, Serialize};

use crate::answer;
use crate::bindings::snapshots::exports::hostler::driver::snapshots as wit;
use crate::context::DomainContext;
use crate::driver::Driver;
use crate::error::RuntimeError;
use crate::request::{Reply, Request, Return};

/// What it comes to that a driver has no `snapshots`.
const NO_SNAPSHOTS: &str = ", so its running guests are not kept";

/// A guest, memory included, kept under one name within the images of its disks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptWithin {
    /// The name.
    pub name: String,
    /// The disks, by target name.
    pub targets: Vec<String>,
    /// The disk among them whose image has the memory.
    pub memory: String,
}

impl From<&KeptWithin> for wit::Kept {
    fn from(kept: &KeptWithin) -> Self {
        Self { name: kept.name.clone(), targets: kept.targets.clone(), memory: kept.memory.clone() }
    }
}

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
        self.whether(context, Request::SettleOverlay(targets.to_vec())).await
    }

    /// As [`Driver::overlay`], with the guest's memory in the context's output. The guest goes on as it did before.
    ///
    /// # Errors
    /// As for [`Driver::overlay`].
    pub async fn overlay_with_memory(
        &self,
        context: &DomainContext,
        targets: &[String],
    ) -> Result<(), RuntimeError> {
        self.require("snapshots", NO_SNAPSHOTS)?;
        self.done(context, Request::OverlayWithMemory(targets.to_vec())).await
    }

    /// Has the hypervisor keep the guest within the images of its disks. It goes on as it did before.
    ///
    /// # Errors
    /// As for [`Driver::overlay`].
    pub async fn keep_within(&self, context: &DomainContext, kept: &KeptWithin) -> Result<(), RuntimeError> {
        self.require("snapshots", NO_SNAPSHOTS)?;
        self.done(context, Request::Keep(kept.into())).await
    }

    /// Whether the guest is kept within the images; what is kept of some disks only is removed.
    ///
    /// # Errors
    /// As for [`Driver::overlay`].
    pub async fn settle_keep(
        &self,
        context: &DomainContext,
        kept: &KeptWithin,
    ) -> Result<bool, RuntimeError> {
        self.require("snapshots", NO_SNAPSHOTS)?;
        self.whether(context, Request::SettleKeep(kept.into())).await
    }

    /// Has the hypervisor remove what is kept within the images; done already is done.
    ///
    /// # Errors
    /// As for [`Driver::overlay`].
    pub async fn forget_kept(&self, context: &DomainContext, kept: &KeptWithin) -> Result<(), RuntimeError> {
        self.require("snapshots", NO_SNAPSHOTS)?;
        self.done(context, Request::Forget(kept.into())).await
    }

    /// Starts the domain with the guest that is kept within its images, its processors stopped.
    ///
    /// # Errors
    /// As for [`Driver::start`] and [`Driver::overlay`].
    pub async fn bring_back(&self, context: &DomainContext, kept: &KeptWithin) -> Result<(), RuntimeError> {
        self.require("snapshots", NO_SNAPSHOTS)?;
        let options = vec![answer::fact("paused", "yes")];
        self.done(context, Request::BringBack(Return { kept: kept.into(), options })).await
    }

    async fn whether(&self, context: &DomainContext, request: Request) -> Result<bool, RuntimeError> {
        let operation = request.operation();
        match self.call(Some(context), request).await?.0 {
            Reply::Whether(found) => found.map_err(|error| self.answered(operation, error)),
            _ => Err(self.answered_another(operation)),
        }
    }
}
