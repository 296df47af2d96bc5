//! Where pools and images may lie: anywhere for the operator, beneath certain directories for a tenant.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use crate::error::{ErrorKind, StorageError};
use crate::root::{ALWAYS, STRICT};

/// Where pools and images may lie. Beneath its directories no link is followed, whoever made it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach(Option<Vec<PathBuf>>);

impl Reach {
    /// Anywhere: for the operator, whose links on the way to a pool are the operator's own.
    #[must_use]
    pub fn anywhere() -> Self {
        Self(None)
    }

    /// In these directories and beneath them, and nowhere else.
    #[must_use]
    pub fn only(roots: Vec<PathBuf>) -> Self {
        Self(Some(roots))
    }

    /// Its directories; nothing when it goes everywhere.
    #[must_use]
    pub fn roots(&self) -> Option<&[PathBuf]> {
        self.0.as_deref()
    }

    /// Whether a path lies in it. Judged by the path alone, so one with `..` in it lies nowhere.
    #[must_use]
    pub fn covers(&self, path: &Path) -> bool {
        self.0.is_none() || self.root_of(path).is_some()
    }

    /// Refuses a path that does not lie in it.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`] with the rule.
    pub fn require(&self, path: &Path) -> Result<(), StorageError> {
        let Some(roots) = &self.0 else { return Ok(()) };
        if self.root_of(path).is_some() {
            return Ok(());
        }
        let shown: Vec<_> = roots.iter().map(|root| format!("'{}'", root.display())).collect();
        let roots = if shown.is_empty() { "it has none".to_owned() } else { shown.join(", ") };
        let message =
            format!("'{}' lies beneath none of the tenant's storage roots ({roots})", path.display());
        Err(StorageError::new(ErrorKind::Denied, "storage.outside-roots", message)
            .about("path", path.display().to_string()))
    }

    fn root_of<'a>(&'a self, path: &'a Path) -> Option<(&'a Path, &'a Path)> {
        if path.components().any(|part| part == Component::ParentDir) {
            return None;
        }
        let roots = self.0.as_deref().unwrap_or_default();
        roots.iter().find_map(|root| Some((root.as_path(), path.strip_prefix(root).ok()?)))
    }

    /// Opens what lies in it, for one that has directories; the caller knows that it has.
    ///
    /// # Errors
    /// `PermissionDenied` when it does not lie in it; `ELOOP` for a link; what the operating system says.
    pub(crate) fn open(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let (root, relative) = self.root_of(path).ok_or(io::ErrorKind::PermissionDenied)?;
        let relative = if relative.as_os_str().is_empty() { Path::new(".") } else { relative };
        let root = open_root(root)?;
        // A handle to a name is not opened, and takes none of the flags for opening.
        let flags = if flags.contains(OFlags::PATH) { flags | OFlags::CLOEXEC } else { flags | ALWAYS };
        Ok(rustix::fs::openat2(root, relative, flags, Mode::empty(), STRICT)?)
    }

    /// Makes a directory that is to lie in it, with those above it up to its root. Whether it is new.
    ///
    /// # Errors
    /// As [`Reach::open`].
    pub(crate) fn make_directories(&self, path: &Path, mode: Mode) -> io::Result<bool> {
        let (root, relative) = self.root_of(path).ok_or(io::ErrorKind::PermissionDenied)?;
        let (mut directory, mut is_new) = (open_root(root)?, false);
        for part in relative.components() {
            let name = Path::new(part.as_os_str());
            match rustix::fs::mkdirat(&directory, name, mode) {
                Err(rustix::io::Errno::EXIST) => is_new = false,
                made => {
                    made?;
                    rustix::fs::fsync(rustix::fs::openat2(
                        directory.as_fd(),
                        ".",
                        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
                        Mode::empty(),
                        STRICT,
                    )?)?;
                    is_new = true;
                }
            }
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            directory = rustix::fs::openat2(directory.as_fd(), name, flags, Mode::empty(), STRICT)?;
        }
        Ok(is_new)
    }
}

fn open_root(root: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(root, flags, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn tree() -> (tempfile::TempDir, Reach) {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("root");
        std::fs::create_dir_all(root.join("pool")).unwrap();
        std::fs::create_dir(home.path().join("foreign")).unwrap();
        symlink("../foreign", root.join("link")).unwrap();
        let reach = Reach::only(vec![root]);
        (home, reach)
    }

    #[test]
    fn only_what_lies_beneath_a_root_is_covered() {
        let (home, reach) = tree();
        let at = |name: &str| home.path().join(name);
        for good in ["root", "root/pool", "root/none/yet"] {
            assert!(reach.covers(&at(good)), "{good}");
            reach.require(&at(good)).unwrap();
        }
        for wrong in ["foreign", "", "root/../foreign", "rootless", "root/pool/../../foreign"] {
            let error = reach.require(&at(wrong)).unwrap_err();
            assert_eq!((error.code(), error.kind), ("storage.outside-roots", ErrorKind::Denied), "{wrong}");
        }
        assert!(Reach::anywhere().covers(&at("foreign")) && !Reach::only(Vec::new()).covers(&at("root")));
    }

    #[test]
    fn planted_links_lead_nowhere() {
        let (home, reach) = tree();
        let at = |name: &str| home.path().join(name);
        let directory = OFlags::RDONLY | OFlags::DIRECTORY;
        reach.open(&at("root/pool"), directory).unwrap();
        reach.open(&at("root"), directory).unwrap();
        for wrong in ["root/link", "root/link/x", "foreign"] {
            reach.open(&at(wrong), directory).unwrap_err();
            reach.make_directories(&at(wrong), Mode::RWXU).unwrap_err();
        }
        assert!(!at("foreign/x").exists());
        assert!(reach.make_directories(&at("root/deep/pool"), Mode::RWXU).unwrap());
        assert!(!reach.make_directories(&at("root/deep/pool"), Mode::RWXU).unwrap());
        assert!(at("root/deep/pool").is_dir());
    }
}
