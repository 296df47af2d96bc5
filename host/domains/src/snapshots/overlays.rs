//! Overlays: made beside what they stand on, or not there.

use std::path::{Path, PathBuf};

use hostler_domain::permissions::Permissions;
use hostler_image::Format;
use hostler_storage::{BackingRequest, CreateRequest, Draft, create_volume};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind};
use crate::host::Host;
use crate::images::{Area, Place};
use crate::pools::programs;
use crate::process;

/// An overlay that a change makes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Overlay {
    /// The disk that gets it.
    pub(crate) target: String,
    pub(crate) path: PathBuf,
    /// What it stands on, and the format of that.
    pub(crate) base: PathBuf,
    pub(crate) base_format: String,
    /// What a guest sees, in bytes.
    pub(crate) size: u64,
    /// Which file it is, once it was made: nothing else is ever removed.
    #[serde(default)]
    pub(crate) identity: Option<String>,
}

impl Overlay {
    /// Makes it as a draft, finished and durable, and tells which file that is before it gets its name.
    pub(crate) async fn make(
        &self,
        host: &Host,
        operation: u64,
        note: impl FnOnce(String) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let area = host.area();
        let place = Place::of(&self.path, &area)?;
        place.require_free()?;
        let request = self.request(&place)?;
        let charged = host.charge_new(&self.path, &request)?;
        let made = process::blocking(move || {
            let draft = Draft::begin(&place.root, operation)?;
            create_volume(&draft, &request, &programs(), &mut |_| {})?;
            Finished::of(draft, place.name.clone())
        });
        // The draft is left behind for a moment: it is published below, after its identity was noted.
        let made = match made.await {
            Ok(Ok(made)) => {
                note(made.identity.clone()).and_then(|()| self.publish(&area, operation, &made.name))
            }
            Ok(Err(error)) | Err(error) => Err(error),
        };
        host.close(charged, made.is_ok())?;
        made
    }

    fn publish(&self, area: &Area, operation: u64, name: &str) -> Result<(), Error> {
        let place = Place::of(&self.path, area)?;
        Ok(Draft::publish_left(&place.root, operation, name)?)
    }

    fn request(&self, place: &Place) -> Result<CreateRequest, Error> {
        let backing = BackingRequest { path: self.base.clone(), format: format(&self.base_format)? };
        Ok(CreateRequest {
            backing: Some(backing),
            permissions: Permissions { mode: Some(0o600), ..Permissions::default() },
            ..CreateRequest::new(&place.name, Format::Qcow2, self.size)?
        })
    }

    /// Whether it was made and has not got its name.
    ///
    /// # Errors
    /// What the operating system says of its directory.
    pub(crate) fn is_unnamed(&self, host: &Host, operation: u64) -> Result<bool, Error> {
        let Some(identity) = &self.identity else { return Ok(false) };
        let place = Place::of(&self.path, &host.area())?;
        Ok(Draft::is_left(&place.root, operation, identity))
    }

    /// Removes it, if it is what was made, and what was never finished of it. Done already is done.
    ///
    /// # Errors
    /// What the operating system says.
    pub(crate) fn unmake(&self, host: &Host, operation: u64) -> Result<(), Error> {
        let place = Place::of(&self.path, &host.area())?;
        Draft::sweep(&place.root, operation)?;
        let is_own =
            place.root.identity_of(&place.name).is_ok_and(|there| Some(there.to_string()) == self.identity);
        if is_own {
            place.root.remove_file(&place.name)?;
            host.discharge(&self.path)?;
        }
        Ok(())
    }
}

/// A draft that stays when this process ends: the next owner sweeps it.
struct Finished {
    identity: String,
    name: String,
}

impl Finished {
    fn of(draft: Draft<'_>, name: String) -> Result<Self, Error> {
        let identity = draft.identity()?.to_string();
        draft.keep();
        Ok(Self { identity, name })
    }
}

/// A format by its name in documents.
///
/// # Errors
/// [`Kind::Unsupported`] for one that is not known.
pub(crate) fn format(name: &str) -> Result<Format, Error> {
    Format::from_xml_name(name).ok_or_else(|| {
        Error::new(Kind::Unsupported, "image.format-unknown", format!("there is no image format '{name}'"))
    })
}

/// Removes a file that was made for a snapshot; done already is done.
///
/// # Errors
/// What the operating system says.
pub(crate) fn remove(host: &Host, path: &Path) -> Result<(), Error> {
    if std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
        return host.discharge(path);
    }
    let place = Place::of(path, &host.area())?;
    place.root.remove_file(&place.name)?;
    host.discharge(path)
}
