//! The next file of a walk: declared by the domain, or named by an image and allowed by the policy.

use super::ASSUMED;
use super::facts::{Access, OpenRequest, Role, Via};
use super::refusals::{self, Naming};
use crate::chain::FormatOrigin;
use crate::error::ImageError;
use crate::format::Format;
use crate::formats::{BackingRecord, RecordedFormat};
use crate::location::ImagePath;
use crate::policy::ReferencePolicy;
use crate::reference::{Parsed, parse_reference};
use crate::request::DeclaredLayer;

/// A file to be opened, and what for.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) layer: usize,
    pub(super) path: ImagePath,
    pub(super) via: Via,
    pub(super) access: Access,
    pub(super) wanted: Wanted,
    /// Where the file was named, when an image named it.
    pub(super) named: Option<Named>,
}

/// What a file is wanted for.
#[derive(Debug)]
pub(super) enum Wanted {
    Layer {
        format: Format,
        origin: FormatOrigin,
        /// Whether a raw image is declared to be a LUKS container.
        luks: bool,
    },
    DataFile,
    /// Only to advise which format it seems to have; `recorded` is a name that is not a format.
    Advice {
        recorded: Option<String>,
    },
}

/// The image that names a file, and how.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) layer: usize,
    pub(super) path: ImagePath,
    /// Safe to show; for names of files it is the name itself.
    pub(super) reference: String,
}

impl Target {
    pub(super) fn declared(layer: usize, declared: &DeclaredLayer, read_only: bool) -> Self {
        let origin = if declared.format.is_some() { FormatOrigin::Declared } else { FormatOrigin::Assumed };
        let (format, luks) = (declared.format.unwrap_or(ASSUMED), declared.luks);
        let wanted = Wanted::Layer { format, origin, luks };
        let (path, access) = (declared.path.clone(), access(read_only));
        Self { layer, path, via: Via::Declared, access, wanted, named: None }
    }

    pub(super) fn declared_data_file(layer: usize, path: &ImagePath, read_only: bool) -> Self {
        let (path, access) = (path.clone(), access(read_only));
        Self { layer, path, via: Via::Declared, access, wanted: Wanted::DataFile, named: None }
    }

    pub(super) fn named_data_file(
        naming: &Naming<'_>,
        name: &str,
        policy: &ReferencePolicy,
    ) -> Result<Self, ImageError> {
        let mut target = Self::named(naming, name, policy, Wanted::DataFile)?;
        target.layer = naming.index;
        target.access = access(naming.read_only);
        Ok(target)
    }

    /// The image below `naming`, as its header records it.
    pub(super) fn named_layer(
        naming: &Naming<'_>,
        record: &BackingRecord,
        policy: &ReferencePolicy,
    ) -> Result<Self, ImageError> {
        let wanted = match &record.format {
            RecordedFormat::Known(format) => {
                Wanted::Layer { format: *format, origin: FormatOrigin::Recorded, luks: false }
            }
            RecordedFormat::Absent => Wanted::Advice { recorded: None },
            RecordedFormat::Unknown(name) => Wanted::Advice { recorded: Some(name.clone()) },
        };
        Self::named(naming, &record.name, policy, wanted)
    }

    fn named(
        naming: &Naming<'_>,
        name: &str,
        policy: &ReferencePolicy,
        wanted: Wanted,
    ) -> Result<Self, ImageError> {
        let reference = match parse_reference(name) {
            Parsed::Usable(reference) => reference,
            Parsed::Unsupported { why, redacted } => {
                return Err(refusals::unsupported_reference(naming, &why, name, redacted, &wanted));
            }
            Parsed::Malformed { why, redacted } => {
                return Err(refusals::malformed_reference(naming, &why, redacted));
            }
        };
        // A usable name has no control characters and no secret: it is shown as it is, and pasted into commands.
        let shown = name.to_owned();
        let Some(path) = naming.path.resolve(&reference) else {
            return Err(refusals::malformed_reference(naming, "it leads to no file", shown));
        };
        let Some(grant) = policy.judge(naming.path, &path) else {
            return Err(refusals::denied(naming, &path, shown, policy, &wanted));
        };
        Ok(Self {
            layer: naming.index.saturating_add(1),
            path,
            via: Via::Granted(grant),
            access: Access::ReadOnly,
            wanted,
            named: Some(Named { layer: naming.index, path: naming.path.clone(), reference: shown }),
        })
    }

    pub(super) fn request(&self) -> OpenRequest {
        OpenRequest {
            layer: self.layer,
            role: if matches!(self.wanted, Wanted::DataFile) { Role::DataFile } else { Role::Image },
            path: self.path.clone(),
            via: self.via.clone(),
            access: self.access,
        }
    }
}

/// The path that a plain name in an image means; `None` for anything that is not a plain name.
pub(super) fn plain_path(naming: &Naming<'_>, name: &str) -> Option<ImagePath> {
    match parse_reference(name) {
        Parsed::Usable(reference) => naming.path.resolve(&reference),
        Parsed::Unsupported { .. } | Parsed::Malformed { .. } => None,
    }
}

fn access(read_only: bool) -> Access {
    if read_only { Access::ReadOnly } else { Access::ReadWrite }
}
