//! Guests that were put away: where their files are, and how they are opened.

mod header;

use std::fs::File;
use std::path::{Path, PathBuf};

use hostler_state::Uuid;
use hostler_storage::PoolRoot;

use crate::error::{Error, Kind};
use crate::host::Host;
use crate::reverted::REVERTED;

pub use header::{HeaderError, SavedHeader, read_saved_header};

pub(crate) use header::{begin, finish, has_stream};

/// The name of the file in a domain's own directory: the guest that its next start brings back.
pub(crate) const OWN: &str = "saved-guest";

/// A guest that was put away, opened.
pub(crate) struct SavedGuest {
    pub(crate) file: File,
    pub(crate) path: PathBuf,
    pub(crate) header: SavedHeader,
}

/// A place for a file: an open directory, and a name in it.
pub(crate) struct Place {
    pub(crate) root: PoolRoot,
    pub(crate) name: String,
}

impl Place {
    /// Its path, for people.
    pub(crate) fn path(&self) -> PathBuf {
        self.root.path_of(&self.name)
    }

    /// Whether there is something.
    pub(crate) fn exists(&self) -> bool {
        !self.root.lacks(&self.name)
    }
}

impl Host {
    /// The place of the guest that the domain's next start brings back.
    pub(crate) fn own_place(&self, domain: Uuid) -> Result<Place, Error> {
        let directory = self.state().domain_dir(domain);
        Ok(Place { root: PoolRoot::open_at(&directory)?, name: OWN.to_owned() })
    }

    /// The place that a user names: beneath the tenant's storage roots, if this is one's.
    pub(crate) fn named_place(&self, path: &Path) -> Result<Place, Error> {
        let path = std::path::absolute(path).map_err(|error| unread(path).caused_by(error))?;
        let (Some(directory), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str()))
        else {
            let message = format!("'{}' is not the name of a file", path.display());
            return Err(Error::new(Kind::Invalid, "saved.name", message));
        };
        Ok(Place { root: PoolRoot::open_within(directory, &self.reach())?, name: name.to_owned() })
    }

    /// Whether the domain's next start brings a guest back: one that was saved, or that a snapshot has kept.
    #[must_use]
    pub fn has_saved_guest(&self, domain: Uuid) -> bool {
        let directory = self.state().domain_dir(domain);
        [OWN, REVERTED].iter().any(|name| directory.join(name).exists())
    }
}

/// Opens the guest at a place; nothing when there is none.
///
/// # Errors
/// [`Kind::Invalid`] or [`Kind::Unsupported`] for what is no saved guest, or none that can be brought back.
pub(crate) fn open(place: &Place) -> Result<Option<SavedGuest>, Error> {
    if place.root.lacks(&place.name) {
        return Ok(None);
    }
    let path = place.path();
    let mut file = place.root.open_file(&place.name)?;
    let header = read_saved_header(&mut file).map_err(|found| refused(&path, found))?;
    Ok(Some(SavedGuest { file, path, header }))
}

fn unread(path: &Path) -> Error {
    Error::new(Kind::Host, "saved.unread", format!("cannot read '{}'", path.display()))
}

fn refused(path: &Path, found: HeaderError) -> Error {
    let shown = path.display();
    let error = match found {
        HeaderError::Foreign => {
            Error::new(Kind::Invalid, "saved.foreign", format!("'{shown}' is not a saved guest"))
                .hint("a saved guest is a file that 'hostler save' or 'virsh save' has made")
        }
        HeaderError::Unfinished => {
            let message = format!("'{shown}' is the beginning of a saved guest that was never finished");
            Error::new(Kind::Invalid, "saved.unfinished", message)
                .hint("the guest went on when it was not saved; remove the file")
        }
        HeaderError::Unsupported(why) => {
            let message = format!("'{shown}' is a saved guest that cannot be read here: {why}");
            Error::new(Kind::Unsupported, "saved.unsupported", message)
                .hint("save the guest without compression, with the host that made the file")
        }
        HeaderError::Damaged(why) => {
            let message = format!("'{shown}' is damaged: {why}");
            Error::new(Kind::Invalid, "saved.damaged", message)
        }
        HeaderError::Io(error) => unread(path).caused_by(error),
    };
    error.about("path", shown.to_string())
}
