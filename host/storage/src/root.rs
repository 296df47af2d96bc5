//! The directory of a pool, opened once: everything in it is reached from here, and never through a link.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use hostler_domain::StorageName;
use hostler_image::ReferencePolicy;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, ResolveFlags};

use crate::error::{ErrorKind, StorageError};
use crate::identity::FileIdentity;
use crate::reach::Reach;

/// No link at all, and no way out.
pub(crate) const STRICT: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);
/// Links are followed as long as they stay on the file system of `/dev`, whose names of devices are links by design. What
/// others may write to, such as `/dev/shm`, is another one.
const DEVICES: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS).union(ResolveFlags::NO_XDEV);
/// Where devices are.
pub(crate) const DEV: &str = "/dev";
/// Never blocks on a pipe, never becomes a terminal, is not inherited.
pub(crate) const ALWAYS: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY).union(OFlags::CLOEXEC);
/// Mode of a volume until it is finished: nobody else looks inside.
const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);

/// The open directory of a pool.
#[derive(Debug)]
pub struct PoolRoot {
    directory: OwnedFd,
    path: PathBuf,
    /// Its path beneath `/dev`, where names may be links to block devices; nothing where no link is followed.
    devices: Option<PathBuf>,
    /// Which files an image in it may name.
    references: ReferencePolicy,
    /// Where images lie that are declared by their path.
    reach: Reach,
}

impl PoolRoot {
    /// Opens it. Links on the way to the directory are the operator's own; none in it is followed.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no such directory, [`ErrorKind::Denied`] when it may not be read.
    pub fn open_at(path: &Path) -> Result<Self, StorageError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::open(path, flags, Mode::empty());
        let directory = opened.map_err(|error| not_opened(path, error.into()))?;
        Ok(Self {
            directory,
            path: path.to_owned(),
            devices: None,
            references: ReferencePolicy::same_directory(),
            reach: Reach::anywhere(),
        })
    }

    /// Opens it where it lies within `reach`, through no link, and lets images name only what lies there too. Where that
    /// is anywhere, this is [`PoolRoot::open_at`].
    ///
    /// # Errors
    /// [`ErrorKind::Denied`] when it does not lie there, or is reached through a link; as [`PoolRoot::open_at`].
    pub fn open_within(path: &Path, reach: &Reach) -> Result<Self, StorageError> {
        let Some(roots) = reach.roots() else { return Self::open_at(path) };
        reach.require(path)?;
        let opened = reach.open(path, OFlags::RDONLY | OFlags::DIRECTORY);
        let directory = opened.map_err(|error| not_opened(path, error))?;
        Ok(Self {
            directory,
            path: path.to_owned(),
            devices: None,
            references: roots.iter().fold(ReferencePolicy::declared_only(), ReferencePolicy::with_root),
            reach: reach.clone(),
        })
    }

    /// Where images lie that are declared by their path.
    pub(crate) fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Opens a directory that may be that of a volume group: a name in it that leads to a block device, and stays in
    /// `/dev` on the way, is that device. Elsewhere this is [`PoolRoot::open_at`].
    ///
    /// # Errors
    /// As [`PoolRoot::open_at`].
    pub fn open_devices(path: &Path) -> Result<Self, StorageError> {
        let devices = path.strip_prefix(DEV).ok().map(Path::to_owned);
        Ok(Self { devices, ..Self::open_at(path)? })
    }

    /// The same, where images may also name what lies beneath these directories, as they may at a start.
    #[must_use]
    pub fn with_image_roots<'a>(mut self, roots: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        self.references = roots.into_iter().fold(self.references, ReferencePolicy::with_root);
        self
    }

    pub(crate) fn references(&self) -> &ReferencePolicy {
        &self.references
    }

    /// Its path, for display and for documents.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of what is called `name` in it.
    #[must_use]
    pub fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Whether it has an entry of this name, a link included; `false` for what is no name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        StorageName::existing(name).is_ok() && self.has(name)
    }

    /// Whether it certainly has no entry of this name: what cannot be looked at may be there.
    #[must_use]
    pub fn lacks(&self, name: &str) -> bool {
        let found = self.identity_of(name);
        StorageName::existing(name).is_ok()
            && found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    }

    /// Which directory it is.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn identity(&self) -> Result<FileIdentity, StorageError> {
        let found = FileIdentity::of(self.as_fd());
        found.map_err(|error| StorageError::io("look at the directory", self.path.display(), error))
    }

    /// Which file has this name, a link included.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn identity_of(&self, name: &str) -> io::Result<FileIdentity> {
        FileIdentity::of_name(self.as_fd(), name)
    }

    /// Makes a directory in it, private to this user; durable when this returns.
    ///
    /// # Errors
    /// [`ErrorKind::Exists`] when something has that name; what the operating system says.
    pub fn make_directory(&self, name: &str) -> Result<(), StorageError> {
        let name = checked(name)?;
        let failed =
            |error| StorageError::io("make the directory", self.path_of(name.as_str()).display(), error);
        rustix::fs::mkdirat(self.as_fd(), name.as_str(), Mode::RWXU).map_err(|error| failed(error.into()))?;
        self.sync().map_err(failed)
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Opens an entry for reading. `name` is one name, or names below one another.
    pub(crate) fn open(&self, name: &str) -> io::Result<OwnedFd> {
        self.open_with(name, OFlags::RDONLY)
    }

    /// Opens an entry for reading and writing.
    pub(crate) fn open_for_writing(&self, name: &str) -> io::Result<OwnedFd> {
        self.open_with(name, OFlags::RDWR)
    }

    fn open_with(&self, name: &str, flags: OFlags) -> io::Result<OwnedFd> {
        if let Some(device) = self.devices.as_deref().and_then(|below| device(&below.join(name))) {
            // The device that was looked at, whatever its name leads to by now.
            let path = format!("/proc/self/fd/{}", device.as_raw_fd());
            return Ok(rustix::fs::open(path, flags | ALWAYS, Mode::empty())?);
        }
        Ok(rustix::fs::openat2(self.as_fd(), name, flags | ALWAYS, Mode::empty(), STRICT)?)
    }

    /// Makes a new empty file, private to this user.
    pub(crate) fn create_new(&self, name: &str) -> io::Result<OwnedFd> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | ALWAYS;
        Ok(rustix::fs::openat2(self.as_fd(), name, flags, PRIVATE, STRICT)?)
    }

    /// Makes a new empty file without a name, private to this user; it is gone with its last descriptor.
    pub(crate) fn create_nameless(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
        match rustix::fs::openat(self.as_fd(), ".", flags, PRIVATE) {
            // What kernels and file systems without such files answer.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR | rustix::io::Errno::INVAL) => {
                Err(io::ErrorKind::Unsupported.into())
            }
            other => Ok(other?),
        }
    }

    /// Gives a file without a name the name `to`, which nothing may have; durable when this returns.
    pub(crate) fn publish_nameless(&self, file: &File, to: &str) -> io::Result<()> {
        let from = format!("/proc/self/fd/{}", file.as_raw_fd());
        rustix::fs::linkat(rustix::fs::CWD, from, self.as_fd(), to, AtFlags::SYMLINK_FOLLOW)?;
        self.sync()
    }

    /// Whether there is something of that name, a link included.
    pub(crate) fn has(&self, name: &str) -> bool {
        rustix::fs::statat(self.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// Bytes that an entry occupies, and its length, without opening it.
    pub(crate) fn sizes(&self, name: &str) -> Option<(u64, u64)> {
        let stat = rustix::fs::statat(self.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        let length = u64::try_from(stat.st_size).ok()?;
        Some((u64::try_from(stat.st_blocks).ok()?.saturating_mul(512), length))
    }

    /// Gives `from` the name `to`, which nothing may have; durable when this returns.
    pub(crate) fn publish(&self, from: &str, to: &str) -> io::Result<()> {
        let renamed = rustix::fs::renameat_with(self.as_fd(), from, self.as_fd(), to, RenameFlags::NOREPLACE);
        match renamed {
            // A file system without that flag: a link is never made over something either.
            Err(rustix::io::Errno::INVAL) => {
                rustix::fs::linkat(self.as_fd(), from, self.as_fd(), to, AtFlags::empty())?;
                rustix::fs::unlinkat(self.as_fd(), from, AtFlags::empty())?;
            }
            other => other?,
        }
        self.sync()
    }

    /// Puts `from` in the place of `to`; durable when this returns.
    pub(crate) fn replace(&self, from: &str, to: &str) -> io::Result<()> {
        rustix::fs::renameat(self.as_fd(), from, self.as_fd(), to)?;
        self.sync()
    }

    /// Removes a file; durable when this returns. One that is not there is fine.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(self.as_fd(), name, AtFlags::empty()) {
            Err(rustix::io::Errno::NOENT) => Ok(()),
            removed => {
                removed?;
                self.sync()
            }
        }
    }

    /// Removes an empty directory.
    pub(crate) fn remove_directory(&self, name: &str) -> io::Result<()> {
        rustix::fs::unlinkat(self.as_fd(), name, AtFlags::REMOVEDIR)?;
        self.sync()
    }

    fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(self.as_fd())?)
    }

    /// Opens an existing volume by name, for reading or for writing as well.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Denied`] for a link, [`ErrorKind::Invalid`] for what is no name or
    /// neither a file nor a block device.
    pub(crate) fn open_volume(&self, name: &str, writable: bool) -> Result<File, StorageError> {
        let name = checked(name)?;
        let name = name.as_str();
        let opened = if writable { self.open_for_writing(name) } else { self.open(name) };
        let what = if writable { "open the volume for writing" } else { "open the volume" };
        let file = File::from(opened.map_err(|error| self.open_failed(what, name, error))?);
        let kind =
            file.metadata().map_err(|error| StorageError::io("look at the volume", name, error))?.file_type();
        if kind.is_file() || kind.is_block_device() {
            return Ok(file);
        }
        let message = format!("'{name}' is neither a file nor a block device");
        Err(StorageError::new(ErrorKind::Invalid, "volume.kind", message)
            .about("path", self.path_of(name).display().to_string()))
    }

    /// Opens a regular file in it for reading.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::Denied`] for a link; [`ErrorKind::Invalid`] for what is no regular file.
    pub fn open_file(&self, name: &str) -> Result<File, StorageError> {
        let shown = self.path_of(name).display().to_string();
        let opened = self.open(name).map_err(|error| StorageError::io("open", &shown, error))?;
        let file = File::from(opened);
        let metadata = file.metadata().map_err(|error| StorageError::io("look at", &shown, error))?;
        if metadata.is_file() {
            return Ok(file);
        }
        Err(StorageError::new(ErrorKind::Invalid, "file.kind", format!("'{shown}' is not a regular file")))
    }

    /// Removes a file in it; durable when this returns. One that is not there is fine.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn remove_file(&self, name: &str) -> Result<(), StorageError> {
        self.remove(name).map_err(|error| StorageError::io("remove", self.path_of(name).display(), error))
    }

    fn open_failed(&self, what: &str, name: &str, error: io::Error) -> StorageError {
        if error.kind() == io::ErrorKind::NotFound {
            let message = format!("there is no volume '{name}' in '{}'", self.path.display());
            return StorageError::new(ErrorKind::NotFound, "volume.not-found", message).about("volume", name);
        }
        StorageError::io(what, self.path_of(name).display(), error).about("volume", name)
    }
}

fn not_opened(path: &Path, error: io::Error) -> StorageError {
    let shown = hostler_image::shell_quote(&path.display().to_string());
    let error = StorageError::io("open the directory of the pool", path.display(), error);
    match error.kind {
        ErrorKind::NotFound => {
            error.hint_command("make it, or mount what belongs there", format!("mkdir -p {shown}"))
        }
        _ => error,
    }
}

/// The block device of this name beneath `/dev`, not opened yet: opening another thing can have effects of its own.
fn device(name: &Path) -> Option<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let dev = rustix::fs::open(DEV, flags | OFlags::DIRECTORY, Mode::empty()).ok()?;
    let found = rustix::fs::openat2(dev, name, flags, Mode::empty(), DEVICES).ok()?;
    let kind = rustix::fs::fstat(&found).ok()?.st_mode;
    (FileType::from_raw_mode(kind) == FileType::BlockDevice).then_some(found)
}

/// The name of a volume that is there, as the user wrote it.
pub(crate) fn checked(name: &str) -> Result<StorageName, StorageError> {
    StorageName::existing(name).map_err(|wrong| refused_name(name, wrong))
}

pub(crate) fn refused_name(name: &str, wrong: &str) -> StorageError {
    let shown: String = name.chars().take(64).flat_map(char::escape_debug).collect();
    StorageError::new(ErrorKind::Invalid, "volume.name", format!("the name of the volume '{shown}' {wrong}"))
        .hint("a volume is called by one plain name, such as disk.qcow2")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn pool() -> (tempfile::TempDir, PoolRoot) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pool");
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("a"), "a").unwrap();
        std::fs::write(directory.path().join("secret"), "s").unwrap();
        symlink("../secret", path.join("out")).unwrap();
        symlink("a", path.join("link")).unwrap();
        let root = PoolRoot::open_at(&path).unwrap();
        (directory, root)
    }

    #[test]
    fn only_plain_entries_are_opened() {
        let (_directory, root) = pool();
        assert!(root.open_volume("a", true).is_ok());
        for (name, code) in [
            ("out", "storage.link"),
            ("link", "storage.link"),
            ("../secret", "volume.name"),
            ("..", "volume.name"),
            ("b", "volume.not-found"),
        ] {
            assert_eq!(root.open_volume(name, false).unwrap_err().code(), code, "{name}");
        }
    }

    /// `/dev/shm` and the like are anybody's; only names of block devices are links by design.
    #[test]
    fn links_beneath_dev_lead_to_block_devices_or_nowhere() {
        let directory = tempfile::tempdir_in("/dev/shm").unwrap();
        let path = directory.path().join("pool");
        std::fs::create_dir(&path).unwrap();
        std::fs::write(directory.path().join("victim"), "v").unwrap();
        std::fs::write(path.join("a"), "a").unwrap();
        symlink("../victim", path.join("evil")).unwrap();
        symlink("../../../null", path.join("null")).unwrap();
        for root in [PoolRoot::open_at(&path).unwrap(), PoolRoot::open_devices(&path).unwrap()] {
            assert!(root.open_volume("a", true).is_ok());
            for name in ["evil", "null"] {
                assert_eq!(root.open_volume(name, true).unwrap_err().code(), "storage.link", "{name}");
            }
        }
        assert_eq!(device(Path::new("null")).map(drop), None, "a character device is none");
    }

    /// Names of a pool that somebody else may write to become links while they are opened: what is read is a volume, or
    /// nothing.
    #[test]
    fn swapped_links_are_never_followed() {
        use std::io::Read as _;
        use std::sync::atomic::{AtomicBool, Ordering};
        let (directory, root) = pool();
        let path = directory.path().join("pool");
        let done = AtomicBool::new(false);
        let (mut read, mut refused, mut wrong) = (0, 0, Vec::new());
        std::thread::scope(|scope| {
            let swapper = scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let (file, link) = (path.join("next-file"), path.join("next-link"));
                    std::fs::write(&file, "a").unwrap();
                    symlink("../secret", &link).unwrap();
                    std::fs::rename(&file, path.join("a")).unwrap();
                    std::fs::rename(&link, path.join("a")).unwrap();
                }
            });
            while (read < 100 || refused < 100) && !swapper.is_finished() {
                match root.open_volume("a", false) {
                    Ok(mut file) => {
                        let mut text = String::new();
                        let count = file.read_to_string(&mut text);
                        wrong.extend((count.is_err() || text == "s").then_some(text));
                        read += 1;
                    }
                    Err(error) => {
                        wrong.extend((error.code() != "storage.link").then(|| error.to_string()));
                        refused += 1;
                    }
                }
                // A busy machine may leave the other thread waiting: without it there is no race.
                std::thread::yield_now();
            }
            done.store(true, Ordering::Relaxed);
        });
        assert!(
            wrong.is_empty() && read >= 100 && refused >= 100,
            "{read} read, {refused} refused: {wrong:?}"
        );
    }

    #[test]
    fn publishing_never_replaces() {
        let (_directory, root) = pool();
        drop(root.create_new("new").unwrap());
        assert_eq!(root.publish("new", "a").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        root.publish("new", "b").unwrap();
        assert!(root.has("b") && !root.has("new"));
        assert!(root.create_new("link").is_err() && root.create_new("a").is_err());
    }

    #[test]
    fn directory_that_is_missing_is_told_with_a_way_out() {
        let error = PoolRoot::open_at(Path::new("/nonexistent/pool")).unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound);
        assert_eq!(error.hints[0].command.as_deref(), Some("mkdir -p /nonexistent/pool"));
    }
}
