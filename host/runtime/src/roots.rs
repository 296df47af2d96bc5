//! Opening files beneath granted directories, never through a link that leads out of them.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Component, Path, PathBuf};

use hostler_image::ReferencePolicy;
use rustix::fs::{Mode, OFlags, ResolveFlags};

/// Where devices are. Their names are links by design (`/dev/vg/volume`), which stay beneath it.
const DEVICES: &str = "/dev";

/// No link at all, and no way out.
const STRICT: ResolveFlags = WITHIN.union(ResolveFlags::NO_SYMLINKS);
/// Links are followed as long as they stay beneath the directory.
const WITHIN: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);

/// The directories whose files a domain may use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roots {
    directories: Vec<PathBuf>,
    declared_anywhere: bool,
    same_directory: bool,
}

/// The directory that was opened last, kept: the layers of a chain mostly lie in one.
#[derive(Debug, Default)]
pub(crate) struct Directories {
    last: Option<(PathBuf, OwnedFd)>,
}

impl Directories {
    fn get(&mut self, path: &Path) -> io::Result<BorrowedFd<'_>> {
        let kept = self.last.take().filter(|(known, _)| known == path);
        let opened = match kept {
            Some(kept) => kept,
            None => (path.to_owned(), open_directory(path)?),
        };
        Ok(self.last.insert(opened).1.as_fd())
    }
}

/// For reading, or for writing as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// For reading.
    ReadOnly,
    /// For reading and writing.
    ReadWrite,
}

impl Mark {
    fn access(self) -> OFlags {
        match self {
            Self::ReadOnly => OFlags::RDONLY,
            Self::ReadWrite => OFlags::RDWR,
        }
    }
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

    /// Whether a path that the document names lies where the domain may use files. Judged by the path alone, so
    /// one with `..` in it lies nowhere.
    pub(crate) fn covers(&self, path: &Path) -> bool {
        let up = path.components().any(|part| part == Component::ParentDir);
        self.declared_anywhere || (!up && self.directories.iter().any(|root| below(path, root).is_some()))
    }

    /// Opens a file that the document names.
    ///
    /// # Errors
    /// `PermissionDenied` when it is beneath no granted directory; what the operating system says.
    pub(crate) fn open_declared(&self, path: &Path, mark: Mark) -> io::Result<OwnedFd> {
        self.open_declared_from(&mut Directories::default(), path, mark)
    }

    /// The same, for several files in turn.
    ///
    /// # Errors
    /// As [`Roots::open_declared`].
    pub(crate) fn open_declared_from(
        &self,
        directories: &mut Directories,
        path: &Path,
        mark: Mark,
    ) -> io::Result<OwnedFd> {
        self.open(directories, path, mark.access())
    }

    /// Opens a file that a guest's output goes to, made when absent, emptied unless `append`. A character device
    /// such as `/dev/null` is fine.
    ///
    /// # Errors
    /// As [`Roots::open_declared`]; when it is no file.
    pub(crate) fn open_output(&self, path: &Path, append: bool) -> io::Result<OwnedFd> {
        let more = if append { OFlags::APPEND } else { OFlags::empty() };
        let flags = OFlags::WRONLY | OFlags::CREATE | more;
        let file = File::from(self.open(&mut Directories::default(), path, flags)?);
        let kind = file.metadata()?.file_type();
        if !kind.is_file() && !kind.is_char_device() {
            return Err(io::Error::other("it is neither a regular file nor a character device"));
        }
        if kind.is_file() && !append {
            file.set_len(0)?;
        }
        Ok(file.into())
    }

    /// Opens a directory that the document names.
    ///
    /// # Errors
    /// As [`Roots::open_declared`]; `NotADirectory` when it is none.
    pub(crate) fn open_folder(&self, path: &Path) -> io::Result<OwnedFd> {
        self.open(&mut Directories::default(), path, OFlags::RDONLY | OFlags::DIRECTORY)
    }

    fn open(&self, directories: &mut Directories, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let granted = self.directories.iter().find_map(|root| Some((root.as_path(), below(path, root)?)));
        if let Some((root, relative)) = granted {
            return open_with(directories.get(root)?, relative.as_os_str(), flags, STRICT);
        }
        if !self.declared_anywhere {
            return Err(beneath_none());
        }
        if let Some(relative) = below(path, Path::new(DEVICES)) {
            return open_with(directories.get(Path::new(DEVICES))?, relative.as_os_str(), flags, WITHIN);
        }
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        open_with(directories.get(directory)?, name, flags, STRICT)
    }
}

/// Why a path that the document names is not opened.
pub(crate) fn beneath_none() -> io::Error {
    io::Error::new(
        io::ErrorKind::PermissionDenied,
        "it lies beneath none of the directories that are granted",
    )
}

fn below<'a>(path: &'a Path, root: &Path) -> Option<&'a Path> {
    path.strip_prefix(root).ok().filter(|relative| !relative.as_os_str().is_empty())
}

/// Opens `relative` beneath `directory`: no link is followed and no `..` leads out. Never blocks on a FIFO.
///
/// # Errors
/// What the operating system says: `ELOOP` for a link, `EXDEV` for a way out.
pub(crate) fn open_beneath(
    directories: &mut Directories,
    directory: &Path,
    relative: &Path,
    mark: Mark,
) -> io::Result<OwnedFd> {
    open_with(directories.get(directory)?, relative.as_os_str(), mark.access(), STRICT)
}

fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

fn open_with(
    directory: BorrowedFd<'_>,
    name: &OsStr,
    flags: OFlags,
    resolve: ResolveFlags,
) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let mode = if flags.contains(OFlags::CREATE) { Mode::RUSR | Mode::WUSR } else { Mode::empty() };
    Ok(rustix::fs::openat2(directory, name, flags, mode, resolve)?)
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
        assert!(open_beneath(&mut Directories::default(), &root, Path::new("a"), Mark::ReadWrite).is_ok());
        for name in ["out", "link", "magic", "../secret", "/etc/passwd", "sub/../../secret"] {
            let opened = open_beneath(&mut Directories::default(), &root, Path::new(name), Mark::ReadOnly);
            assert!(opened.is_err(), "{name}");
        }
    }

    #[test]
    fn kept_directory_is_used_for_its_own_files_only() {
        let (tree, other) = (tree(), tree());
        std::fs::write(other.path().join("secret"), "other").unwrap();
        let (roots, mut directories) = (Roots::of_operator(Vec::new()), Directories::default());
        let mut read = |tree: &tempfile::TempDir| {
            let path = tree.path().join("secret");
            let fd = roots.open_declared_from(&mut directories, &path, Mark::ReadOnly).unwrap();
            io::read_to_string(File::from(fd)).unwrap()
        };
        assert_eq!([read(&tree), read(&other), read(&other), read(&tree)], ["s", "other", "other", "s"]);
        let missing = Path::new("/nonexistent/a");
        assert!(roots.open_declared_from(&mut directories, missing, Mark::ReadOnly).is_err());
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
    fn output_is_written_only_where_it_is_granted() {
        let tree = tree();
        let roots = Roots::only(vec![tree.path().join("in")]);
        for (path, good) in [("in/new.log", true), ("in/a", true), ("secret", false), ("in/out", false)] {
            assert_eq!(roots.open_output(&tree.path().join(path), true).is_ok(), good, "{path}");
        }
        assert_eq!(std::fs::read(tree.path().join("in/a")).unwrap(), b"a", "appended to");
        roots.open_output(&tree.path().join("in/a"), false).unwrap();
        assert!(std::fs::read(tree.path().join("in/a")).unwrap().is_empty());
        assert!(roots.covers(&tree.path().join("in/new")) && !roots.covers(&tree.path().join("in/../new")));
        assert!(
            !roots.covers(&tree.path().join("secret")) && Roots::of_operator(vec![]).covers(Path::new("/x"))
        );
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
