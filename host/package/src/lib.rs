//! Driver packages: read from a file, a folder or an OCI layout, and judged, with nothing of them compiled.
//!
//! A [`Package`] is read once and whole. [`Package::judge`] says everything that is wrong with its component, so that
//! an author learns all of it at once; what is signed, and by whom, is for [`hostler_grant`] to decide.

mod contract;
mod error;
mod file;
mod folder;
mod judgement;
pub mod key_file;
mod layout;
mod package;
mod scan;
mod section;

pub use error::{Kind, PackageError};
pub use judgement::{Judgement, judge};
pub use layout::{ARTIFACT_TYPE, COMPONENT_TYPE, SIGNATURES_ANNOTATION, SIGNATURES_TYPE};
pub use package::{COMPONENT_MAX_BYTES, Form, Package, SIGNATURES_ENDING, beside, digest, read_manifest};
