//! Opening files beneath granted directories, never through a link that leads out of them.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use hostler_image::ReferencePolicy;
use rustix::fs::{Mode, OFlags, ResolveFlags};

/// Where devices are. Their names are links by design (`/dev/vg/volume`), which stay beneath it.
const DEVICES: &str = "/dev";

/// The directories whose files a domain may use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roots {
    directories: Vec<PathBuf>,
    declared_anywhere: bool,
    same_directory: bool,
}

/// For reading, or for writing as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// For reading.
    ReadOnly,
    /// For reading and writing.
    ReadWrite,
}

impl Roots {
    /// For the operator of this host: whatever the document itself names may lie anywhere, and an image may
    /// name what lies in its own directory or beneath one of `directories`.
    #[must_use]
    pub fn of_operator(directories: Vec<PathBuf>) -> Self {
        Self { directories, declared_anywhere: true, same_directory: true }
    }

    /// For a tenant: only what lies beneath `directories`, whoever names it.
    #[must_use]
    pub fn only(directories: Vec<PathBuf>) -> Self {
        Self { directories, declared_anywhere: false, same_directory: false }
    }

    /// Which files an image may name.
    pub(crate) fn references(&self) -> ReferencePolicy {
        let own = if self.same_directory {
            ReferencePolicy::same_directory()
        } else {
            ReferencePolicy::declared_only()
        };
        self.directories.iter().fold(own, ReferencePolicy::with_root)
    }

    /// Opens a file that the document names.
    ///
    /// # Errors
    /// `PermissionDenied` when it is beneath no granted directory; what the operating system says.
    pub(crate) fn open_declared(&self, path: &Path, mark: Mark) -> io::Result<OwnedFd> {
        let granted = self.directories.iter().find_map(|root| Some((root.as_path(), below(path, root)?)));
        let own = || Some((path.parent()?, Path::new(path.file_name()?)));
        match granted {
            Some((root, relative)) => open_beneath(root, relative, mark),
            None if !self.declared_anywhere => Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "it lies beneath none of the directories that are granted",
            )),
            None => match below(path, Path::new(DEVICES)) {
                Some(relative) => open_device(relative, mark),
                None => {
                    let (directory, name) = own().ok_or(io::ErrorKind::InvalidInput)?;
                    open_beneath(directory, name, mark)
                }
            },
        }
    }
}

fn below<'a>(path: &'a Path, root: &Path) -> Option<&'a Path> {
    path.strip_prefix(root).ok().filter(|relative| !relative.as_os_str().is_empty())
}

/// Opens `relative` beneath `directory`: no link is followed and no `..` leads out. Never blocks on a FIFO.
///
/// # Errors
/// What the operating system says: `ELOOP` for a link, `EXDEV` for a way out.
pub(crate) fn open_beneath(directory: &Path, relative: &Path, mark: Mark) -> io::Result<OwnedFd> {
    let strict = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_SYMLINKS;
    open_with(directory, relative.as_os_str(), mark, strict)
}

/// Opens a device by a name that may be a link, as long as it stays below `/dev`.
fn open_device(relative: &Path, mark: Mark) -> io::Result<OwnedFd> {
    let links = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    open_with(Path::new(DEVICES), relative.as_os_str(), mark, links)
}

fn open_with(directory: &Path, name: &OsStr, mark: Mark, resolve: ResolveFlags) -> io::Result<OwnedFd> {
    let directory =
        rustix::fs::open(directory, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let access = match mark {
        Mark::ReadOnly => OFlags::RDONLY,
        Mark::ReadWrite => OFlags::RDWR,
    };
    let flags = access | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat2(directory, name, flags, Mode::empty(), resolve)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn tree() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("in")).unwrap();
        std::fs::write(directory.path().join("in/a"), "a").unwrap();
        std::fs::write(directory.path().join("secret"), "s").unwrap();
        symlink("../secret", directory.path().join("in/out")).unwrap();
        symlink("a", directory.path().join("in/link")).unwrap();
        symlink("/proc/self/root/etc/passwd", directory.path().join("in/magic")).unwrap();
        directory
    }

    #[test]
    fn links_and_ways_out_are_refused() {
        let tree = tree();
        let root = tree.path().join("in");
        assert!(open_beneath(&root, Path::new("a"), Mark::ReadWrite).is_ok());
        for name in ["out", "link", "magic", "../secret", "/etc/passwd", "sub/../../secret"] {
            assert!(open_beneath(&root, Path::new(name), Mark::ReadOnly).is_err(), "{name}");
        }
    }

    #[test]
    fn tenant_reaches_only_what_is_granted() {
        let tree = tree();
        let roots = Roots::only(vec![tree.path().join("in")]);
        assert!(roots.open_declared(&tree.path().join("in/a"), Mark::ReadOnly).is_ok());
        for path in ["secret", "in/out", "in/../secret", "in"] {
            assert!(roots.open_declared(&tree.path().join(path), Mark::ReadOnly).is_err(), "{path}");
        }
    }

    #[test]
    fn operator_reaches_what_the_document_names() {
        let tree = tree();
        let roots = Roots::of_operator(Vec::new());
        assert!(roots.open_declared(&tree.path().join("secret"), Mark::ReadOnly).is_ok());
        assert!(roots.open_declared(&tree.path().join("in/out"), Mark::ReadOnly).is_err());
        assert!(roots.open_declared(Path::new("/dev/null"), Mark::ReadOnly).is_ok());
        assert!(roots.open_declared(Path::new("/"), Mark::ReadOnly).is_err());
    }
}
