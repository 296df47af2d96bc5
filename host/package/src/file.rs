//! Reads files of packages: whole, bounded, regular files only, and nothing blocks.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, open, openat2};

use crate::error::{Kind, PackageError};

/// What is read, for the sentence of an error, and the most that it may have.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) what: &'static str,
    pub(crate) limit: u64,
}

/// Reads the file that the user named; links on the way are the user's.
pub(crate) fn read(path: &Path, wanted: Wanted) -> Result<Vec<u8>, PackageError> {
    whole(named(path), path, wanted)
}

fn named(path: &Path) -> rustix::io::Result<OwnedFd> {
    open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty())
}

/// Opens a directory that files are then read beneath.
pub(crate) fn directory(path: &Path) -> Result<OwnedFd, PackageError> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::DIRECTORY;
    open(path, flags, Mode::empty()).map_err(|error| PackageError::io("open the folder", path, error.into()))
}

/// Reads a file beneath a directory: no link on the way is followed, and no `..` leads out.
pub(crate) fn read_beneath(
    directory: impl AsFd,
    name: &str,
    shown: &Path,
    wanted: Wanted,
) -> Result<Vec<u8>, PackageError> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOFOLLOW;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match openat2(directory, name, flags, Mode::empty(), resolve) {
        Err(rustix::io::Errno::LOOP) => Err(no_file(shown, wanted, "is a link, or lies behind one")),
        Err(rustix::io::Errno::XDEV) => Err(no_file(shown, wanted, "leads out of the folder")),
        opened => whole(opened, shown, wanted),
    }
}

/// Reads a file whose last part is no link: one that this host stored.
pub(crate) fn read_stored(path: &Path, wanted: Wanted) -> Result<Vec<u8>, PackageError> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOFOLLOW;
    match openat2(CWD, path, flags, Mode::empty(), ResolveFlags::empty()) {
        Err(rustix::io::Errno::LOOP) => Err(no_file(path, wanted, "is a link")),
        opened => whole(opened, path, wanted),
    }
}

/// Looks into the file that the user named, without reading the whole of it.
pub(crate) fn look<T>(
    path: &Path,
    wanted: Wanted,
    look: impl FnOnce(&File, u64) -> io::Result<T>,
) -> Result<T, PackageError> {
    let (file, length) = regular(named(path), path, wanted)?;
    look(&file, length).map_err(|error| unread(path, wanted, error))
}

/// A regular file and its length in bytes, which is not over the limit.
fn regular(
    opened: rustix::io::Result<OwnedFd>,
    path: &Path,
    wanted: Wanted,
) -> Result<(File, u64), PackageError> {
    let failed = |error: io::Error| unread(path, wanted, error);
    let file = File::from(opened.map_err(|error| failed(error.into()))?);
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(no_file(path, wanted, "is not a file"));
    }
    if metadata.len() > wanted.limit {
        return Err(too_large(path, wanted));
    }
    Ok((file, metadata.len()))
}

fn unread(path: &Path, wanted: Wanted, error: io::Error) -> PackageError {
    PackageError::io(&format!("read the {}", wanted.what), path, error)
}

fn whole(opened: rustix::io::Result<OwnedFd>, path: &Path, wanted: Wanted) -> Result<Vec<u8>, PackageError> {
    let (file, length) = regular(opened, path, wanted)?;
    // One more than it has, so that its end is seen without room for twice as much.
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default().saturating_add(1));
    let read = file.take(wanted.limit.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|error| unread(path, wanted, error))?;
    // It may have grown while it was read.
    if bytes.len() as u64 > wanted.limit { Err(too_large(path, wanted)) } else { Ok(bytes) }
}

fn no_file(path: &Path, wanted: Wanted, why: &str) -> PackageError {
    PackageError::new(Kind::NotAFile, format!("the {} '{}' {why}", wanted.what, path.display()))
}

fn too_large(path: &Path, wanted: Wanted) -> PackageError {
    let limit = match wanted.limit {
        mebi if mebi >= 1 << 20 => format!("{} MiB", mebi >> 20),
        bytes => format!("{bytes} bytes"),
    };
    PackageError::new(
        Kind::TooLarge,
        format!("the {} '{}' is larger than {limit}", wanted.what, path.display()),
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rustix::fs::{FileType, mknodat};

    use super::*;

    const WANTED: Wanted = Wanted { what: "driver", limit: 10 };

    fn place() -> tempfile::TempDir {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("file"), [0; 10]).unwrap();
        std::fs::write(place.path().join("large"), [0; 11]).unwrap();
        std::fs::create_dir(place.path().join("inside")).unwrap();
        symlink("../file", place.path().join("inside/link")).unwrap();
        symlink("inside", place.path().join("linked")).unwrap();
        mknodat(CWD, place.path().join("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        place
    }

    #[test]
    fn regular_files_within_the_limit_are_read() {
        let place = place();
        assert_eq!(read(&place.path().join("file"), WANTED).unwrap().len(), 10);
        assert_eq!(read(&place.path().join("inside/link"), WANTED).unwrap().len(), 10);
        for (name, kind) in [
            ("large", Kind::TooLarge),
            ("pipe", Kind::NotAFile),
            ("inside", Kind::NotAFile),
            ("x", Kind::NotFound),
        ] {
            assert_eq!(read(&place.path().join(name), WANTED).unwrap_err().kind, kind, "{name}");
        }
    }

    #[test]
    fn nothing_beneath_a_directory_is_reached_through_links_or_upwards() {
        let place = place();
        let inside = directory(&place.path().join("inside")).unwrap();
        for name in ["link", "../file", "/etc/passwd"] {
            let error = read_beneath(&inside, name, Path::new(name), WANTED).unwrap_err();
            assert_eq!(error.kind, Kind::NotAFile, "{name}: {error}");
        }
        let root = directory(place.path()).unwrap();
        assert_eq!(read_beneath(&root, "file", Path::new("file"), WANTED).unwrap().len(), 10);
        for name in ["linked/link", "pipe", "inside"] {
            let error = read_beneath(&root, name, Path::new(name), WANTED).unwrap_err();
            assert_eq!(error.kind, Kind::NotAFile, "{name}: {error}");
        }
    }

    #[test]
    fn stored_file_is_no_link() {
        let place = place();
        assert_eq!(read_stored(&place.path().join("inside/link"), WANTED).unwrap_err().kind, Kind::NotAFile);
        assert_eq!(read_stored(&place.path().join("file"), WANTED).unwrap().len(), 10);
    }
}
