//! What a driver's author needs: projects, builds, and core modules made into components.
//!
//! An author has the `hostler` program and nothing of its repository. [`Project`] writes a project that builds there,
//! with the SDK in it; [`build()`] makes a component of it, and [`encode()`] one of a core module from any language.

mod bindings;
mod build;
mod contract;
mod encode;
mod error;
mod manifest_section;
mod project;
mod sdk;
mod template;

pub use build::{Built, NATIVE_SETTINGS, PROFILE, TARGET, Watched, build, target_is_installed};
pub use encode::{encode, encode_files};
pub use error::{AuthorError, Kind};
pub use project::{Project, RESERVED, renew_sdk};
pub use template::Template;
