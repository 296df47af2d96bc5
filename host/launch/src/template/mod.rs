//! Policy for programs as data: what they are called, what they may be told, and how it is written.

pub mod check;

use std::path::Path;
use std::sync::Arc;

use crate::error::LaunchError;

/// One program's policy.
#[derive(Debug)]
pub struct Template {
    name: String,
}

impl Template {
    /// The name that plans and grants use.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// The templates of this host.
#[derive(Clone, Debug, Default)]
pub struct TemplateSet {
    templates: Vec<Arc<Template>>,
}

impl TemplateSet {
    /// The templates that ship with hostler.
    ///
    /// # Errors
    /// None in a build that passed its tests.
    pub fn builtin() -> Result<Self, LaunchError> {
        Ok(Self::default())
    }

    /// The shipped templates, with those in the operator's directory added or put in their place.
    ///
    /// # Errors
    /// [`crate::LaunchErrorKind::TemplateInvalid`] naming the file and what is wrong in it.
    pub fn load(_directory: &Path) -> Result<Self, LaunchError> {
        Self::builtin()
    }

    /// The template of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Template>> {
        self.templates.iter().find(|template| template.name == name)
    }
}
