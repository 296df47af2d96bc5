//! Variable stores that outlive their domains: kept for the same domain to have again, or archived.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use hostler_state::{ARCHIVED_STATES, Uuid, unix_ms};

use crate::error::{Error, Kind};
use crate::firmware_summary::StoreFate;

/// Where kept variable stores are, under the state directory.
pub(crate) const KEPT: &str = "kept-nvram";
/// Where archived ones are.
pub(crate) const ARCHIVED: &str = "archived-nvram";

/// Most bytes of a domain's name in the name of a file, which has an identifier and a time as well.
const NAME_MAX_BYTES: usize = 100;

/// Where the store of a domain is to lie after it is forgotten.
pub(crate) fn destination(root: &Path, name: &str, uuid: Uuid, fate: StoreFate) -> PathBuf {
    let mut end = name.len().min(NAME_MAX_BYTES);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    let name = name.get(..end).unwrap_or_default();
    match fate {
        StoreFate::Archive => root.join(ARCHIVED).join(format!("{name}-{uuid}-{}.fd", unix_ms())),
        StoreFate::Keep | StoreFate::Delete => root.join(KEPT).join(format!("{name}-{uuid}.fd")),
    }
}

/// Where what helpers of a domain have kept is archived.
pub(crate) fn archived_state(root: &Path, name: &str, uuid: Uuid) -> PathBuf {
    let file = destination(root, name, uuid, StoreFate::Archive);
    root.join(ARCHIVED_STATES).join(file.file_stem().unwrap_or_default())
}

/// The store that was kept of a domain with this identifier, if there is one.
///
/// # Errors
/// [`Kind::Host`] when the directory cannot be read.
pub(crate) fn find(root: &Path, uuid: Uuid) -> Result<Option<PathBuf>, Error> {
    let directory = root.join(KEPT);
    let failed = |error: io::Error| {
        Error::new(Kind::Host, "nvram.kept", format!("cannot read '{}'", directory.display()))
            .caused_by(error)
    };
    let entries = match fs::read_dir(&directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        entries => entries.map_err(failed)?,
    };
    let ending = format!("-{uuid}.fd");
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.ends_with(&ending)) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Makes a kept store that of its domain again.
///
/// # Errors
/// [`Kind::Host`]; it is kept as before.
pub(crate) fn take_up(kept: &Path, store: &Path) -> Result<(), Error> {
    let moved = fs::rename(kept, store).and_then(|()| {
        sync_directory_of(store)?;
        sync_directory_of(kept)
    });
    moved.map_err(|error| {
        let message = format!("cannot take up the variable store that is kept as '{}'", kept.display());
        Error::new(Kind::Host, "nvram.kept", message).caused_by(error)
    })
}

/// Gives a store a second name beyond its domain's directory; done already is done. It is the same file: what a guest
/// that still runs writes to it is kept too. A store that an earlier domain with the identifier left is archived.
///
/// # Errors
/// [`Kind::Host`]; the store is where it was.
pub(crate) fn put(store: &Path, destination: &Path) -> Result<(), Error> {
    link(store, destination).map_err(|error| {
        let message = format!("cannot keep the variable store as '{}'", destination.display());
        Error::new(Kind::Host, "nvram.keep", message)
            .caused_by(error)
            .hint("nothing was changed; the domain is defined as before")
    })
}

/// Makes the directory that a store is to lie in.
///
/// # Errors
/// [`Kind::Host`].
pub(crate) fn make_directory(destination: &Path) -> Result<(), Error> {
    directory_for(destination).map_err(|error| {
        let message = format!("cannot make the directory of '{}'", destination.display());
        Error::new(Kind::Host, "nvram.keep", message).caused_by(error)
    })
}

fn directory_for(destination: &Path) -> io::Result<()> {
    let Some(directory) = destination.parent() else { return Err(io::ErrorKind::InvalidInput.into()) };
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Err(_) => Ok(()),
        Ok(()) => sync_directory_of(directory),
    }
}

fn link(store: &Path, destination: &Path) -> io::Result<()> {
    directory_for(destination)?;
    match (fs::symlink_metadata(store), fs::symlink_metadata(destination)) {
        // Finished before: the domain's own name of it is gone.
        (Err(error), Ok(_)) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        (Ok(one), Ok(other)) if (one.dev(), one.ino()) == (other.dev(), other.ino()) => return Ok(()),
        (_, Ok(_)) => fs::rename(destination, older_name(destination))?,
        _ => {}
    }
    fs::hard_link(store, destination)?;
    sync_directory_of(destination)
}

/// What a store is called that another takes the place of.
fn older_name(destination: &Path) -> PathBuf {
    let name = destination.file_stem().unwrap_or_default().to_string_lossy();
    destination.with_file_name(format!("{name}-{}.older.fd", unix_ms()))
}

fn sync_directory_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_store_is_found_by_its_identifier_and_taken_up_again() {
        let root = tempfile::tempdir().unwrap();
        let (uuid, other) = (Uuid::from_u128(7), Uuid::from_u128(8));
        let store = root.path().join("nvram.fd");
        fs::write(&store, "a").unwrap();
        assert_eq!(find(root.path(), uuid).unwrap(), None);
        let kept = destination(root.path(), "vm", uuid, StoreFate::Keep);
        put(&store, &kept).unwrap();
        put(&store, &kept).unwrap();
        fs::remove_file(&store).unwrap();
        put(&store, &kept).unwrap();
        assert_eq!(find(root.path(), uuid).unwrap(), Some(kept.clone()));
        assert_eq!(find(root.path(), other).unwrap(), None);
        take_up(&kept, &store).unwrap();
        assert_eq!(find(root.path(), uuid).unwrap(), None);
        assert_eq!(fs::read(&store).unwrap(), b"a");
    }

    #[test]
    fn second_store_of_one_identifier_makes_an_older_one_of_the_first() {
        let root = tempfile::tempdir().unwrap();
        let uuid = Uuid::from_u128(7);
        let kept = destination(root.path(), "vm", uuid, StoreFate::Keep);
        for content in ["first", "second"] {
            let store = root.path().join(content);
            fs::write(&store, content).unwrap();
            put(&store, &kept).unwrap();
        }
        assert_eq!(fs::read(&kept).unwrap(), b"second");
        assert_eq!(find(root.path(), uuid).unwrap(), Some(kept));
        assert_eq!(fs::read_dir(root.path().join(KEPT)).unwrap().count(), 2, "nothing is lost");
    }

    #[test]
    fn long_names_still_make_names_of_files() {
        let name = "ä".repeat(127);
        let path = destination(Path::new("/s"), &name, Uuid::nil(), StoreFate::Archive);
        assert!(path.file_name().unwrap().len() < 200);
    }
}
