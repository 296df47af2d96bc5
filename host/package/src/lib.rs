//! Driver packages: read from a file, a folder, an OCI layout or a registry, and judged, with nothing of them compiled.
//!
//! A [`Package`] is read once and whole. [`Package::judge`] says everything that is wrong with its component, so that
//! an author learns all of it at once; what is signed, and by whom, is for [`hostler_grant`] to decide.

mod artifact;
mod contract;
mod error;
mod file;
mod folder;
mod judgement;
pub mod key_file;
mod layout;
mod package;
#[cfg(feature = "registry")]
mod registry;
mod scan;
mod section;

pub use artifact::{ARTIFACT_TYPE, COMPONENT_TYPE, SIGNATURES_ANNOTATION, SIGNATURES_TYPE};
pub use error::{Kind, PackageError};
pub use judgement::{Judgement, judge};
pub use package::{
    COMPONENT_MAX_BYTES, Form, Package, REGISTRY_SCHEME, SIGNATURES_ENDING, beside, digest, is_in_registry,
    read_manifest,
};
