//! A volume that is being made: under a name of its own, gone if it is not finished.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;

use hostler_domain::permissions::Permissions;

use crate::error::{ErrorKind, StorageError};
use crate::identity::FileIdentity;
use crate::ownership;
use crate::root::PoolRoot;

/// What the name of every draft begins and ends with.
const PREFIX: &str = ".hostler-";
const SUFFIX: &str = ".part";
/// Mode of a volume whose document does not say: nobody else looks inside (CVE-2025-13193).
const VOLUME_MODE: u32 = 0o600;

/// Whether an entry of a pool is a draft, which no listing shows.
pub(crate) fn is_draft(name: &str) -> bool {
    name.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(SUFFIX)).is_some()
}

/// A volume that is being made. Dropped without having been published, it leaves nothing.
#[derive(Debug)]
pub struct Draft<'a> {
    root: &'a PoolRoot,
    name: String,
    /// Whether the directory has an entry of that name.
    entered: bool,
    file: File,
    published: bool,
}

impl<'a> Draft<'a> {
    /// Makes an empty draft with the number of the operation, which no other draft has.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn begin(root: &'a PoolRoot, operation: u64) -> Result<Self, StorageError> {
        let name = Self::name_of(operation);
        let file = root
            .create_new(&name)
            .map_err(|error| StorageError::io("make a file in", root.path().display(), error))?;
        Ok(Self { root, name, entered: true, file: File::from(file), published: false })
    }

    /// Makes an empty draft that has no name until it is published, so that a killed process leaves nothing and nobody
    /// has to sweep. On a file system that cannot do that it has the name of a draft of this process.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn nameless(root: &'a PoolRoot) -> Result<Self, StorageError> {
        let operation = u64::from(std::process::id());
        match root.create_nameless() {
            Ok(file) => {
                let (name, file) = (Self::name_of(operation), File::from(file));
                Ok(Self { root, name, entered: false, file, published: false })
            }
            Err(error) if error.kind() == std::io::ErrorKind::Unsupported => Self::begin(root, operation),
            Err(error) => Err(StorageError::io("make a file in", root.path().display(), error)),
        }
    }

    /// The name of the draft of an operation.
    fn name_of(operation: u64) -> String {
        format!("{PREFIX}{operation}{SUFFIX}")
    }

    /// Removes what an operation that was stopped has left, if it has left anything.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn sweep(root: &PoolRoot, operation: u64) -> Result<(), StorageError> {
        let name = Self::name_of(operation);
        root.remove(&name).map_err(|error| StorageError::io("remove", root.path_of(&name).display(), error))
    }

    /// Whether nothing is left of an operation.
    #[must_use]
    pub fn is_swept(root: &PoolRoot, operation: u64) -> bool {
        root.lacks(&Self::name_of(operation))
    }

    /// Whether an operation has left this file as its draft, which has not got its name then.
    #[must_use]
    pub fn is_left(root: &PoolRoot, operation: u64, identity: &str) -> bool {
        root.identity_of(&Self::name_of(operation)).is_ok_and(|there| there.to_string() == identity)
    }

    pub(crate) fn root(&self) -> &PoolRoot {
        self.root
    }

    /// The file, open for reading and writing.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The same file for somebody else, who can write to it and do nothing else.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn write_only(&self) -> Result<File, StorageError> {
        let again = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        File::options().write(true).open(again).map_err(|error| StorageError::io("open", &self.name, error))
    }

    /// Leaves it, finished as it is, for [`Draft::publish_left`] or [`Draft::sweep`].
    pub fn keep(mut self) {
        self.published = true;
    }

    /// Gives the draft that a stopped operation has finished its name. Done already is done.
    ///
    /// # Errors
    /// [`ErrorKind::Exists`] when something else has that name by now; what the operating system says.
    pub fn publish_left(root: &PoolRoot, operation: u64, name: &str) -> Result<(), StorageError> {
        let draft = Self::name_of(operation);
        if root.lacks(&draft) {
            return Ok(());
        }
        root.publish(&draft, name).map_err(|error| {
            if error.kind() == std::io::ErrorKind::AlreadyExists {
                return exists(root, name);
            }
            StorageError::io("name", root.path_of(name).display(), error)
        })
    }

    /// The draft that an operation has left, open for reading and writing; nothing when it has its name, or never was.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn reopen(root: &PoolRoot, operation: u64) -> Result<Option<File>, StorageError> {
        let name = Self::name_of(operation);
        if root.lacks(&name) {
            return Ok(None);
        }
        root.open_volume(&name, true).map(Some)
    }

    /// Which file it is, and stays under the name that it gets.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn identity(&self) -> Result<FileIdentity, StorageError> {
        FileIdentity::of(&self.file).map_err(|error| StorageError::io("look at", &self.name, error))
    }

    /// Sets mode, owner, group and label.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn give(&self, permissions: &Permissions) -> Result<(), StorageError> {
        ownership::set(&self.file, permissions, VOLUME_MODE)
            .map_err(|error| StorageError::io("set the permissions of", &self.name, error))
    }

    /// Sets mode, owner and group to those of a file whose place it is to take.
    pub(crate) fn give_those_of(&self, other: &File) -> Result<(), StorageError> {
        let metadata = other.metadata().map_err(|error| StorageError::io("look at", &self.name, error))?;
        let own = self.file.metadata().map_err(|error| StorageError::io("look at", &self.name, error))?;
        let changed = |theirs: u32, ours: u32| (theirs != ours).then_some(theirs);
        self.give(&Permissions {
            mode: Some(metadata.mode() & 0o7777),
            owner: changed(metadata.uid(), own.uid()),
            group: changed(metadata.gid(), own.gid()),
            label: None,
        })
    }

    /// Makes its content durable: the last thing before anybody hears of it.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn finish(&self) -> Result<(), StorageError> {
        self.file.sync_all().map_err(|error| StorageError::io("make durable", &self.name, error))
    }

    /// Gives it the name of the volume, which nothing may have; durable when this returns.
    ///
    /// # Errors
    /// [`ErrorKind::Exists`] when something has that name by now; what the operating system says.
    pub fn publish(mut self, name: &str) -> Result<(), StorageError> {
        let published = if self.entered {
            self.root.publish(&self.name, name)
        } else {
            self.root.publish_nameless(&self.file, name)
        };
        published.map_err(|error| {
            if error.kind() == std::io::ErrorKind::AlreadyExists {
                return exists(self.root, name);
            }
            StorageError::io("make the volume", self.root.path_of(name).display(), error)
        })?;
        self.published = true;
        Ok(())
    }

    /// Puts it in the place of the volume; durable when this returns.
    ///
    /// # Errors
    /// What the operating system says; the volume is as it was then.
    pub fn replace(mut self, name: &str) -> Result<(), StorageError> {
        if !self.entered {
            self.root
                .publish_nameless(&self.file, &self.name)
                .map_err(|error| StorageError::io("name", &self.name, error))?;
            self.entered = true;
        }
        self.root.replace(&self.name, name).map_err(|error| {
            StorageError::io("replace the volume", self.root.path_of(name).display(), error)
        })?;
        self.published = true;
        Ok(())
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if self.entered
            && !self.published
            && let Err(error) = self.root.remove(&self.name)
        {
            tracing::warn!(draft = self.name, %error, "an unfinished volume cannot be removed; the next owner tries again");
        }
    }
}

pub(crate) fn exists(root: &PoolRoot, name: &str) -> StorageError {
    let message = format!("there is a volume '{name}' in '{}' already", root.path().display());
    StorageError::new(ErrorKind::Exists, "volume.exists", message)
        .about("volume", name)
        .hint("choose another name, or delete that volume first")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_draft_leaves_nothing_and_a_stopped_one_is_swept() {
        let pool = tempfile::tempdir().unwrap();
        let root = PoolRoot::open_at(pool.path()).unwrap();
        drop(Draft::begin(&root, 1).unwrap());
        assert_eq!(std::fs::read_dir(pool.path()).unwrap().count(), 0);
        let stopped = Draft::begin(&root, 2).unwrap();
        std::mem::forget(stopped);
        assert!(is_draft(".hostler-2.part") && pool.path().join(".hostler-2.part").exists());
        Draft::sweep(&root, 2).unwrap();
        Draft::sweep(&root, 2).unwrap();
        assert_eq!(std::fs::read_dir(pool.path()).unwrap().count(), 0);
    }

    #[test]
    fn somebody_else_can_write_to_a_draft_and_not_read_it() {
        use std::io::{Read as _, Write as _};
        let pool = tempfile::tempdir().unwrap();
        let root = PoolRoot::open_at(pool.path()).unwrap();
        for draft in [Draft::begin(&root, 1).unwrap(), Draft::nameless(&root).unwrap()] {
            let mut other = draft.write_only().unwrap();
            other.write_all(b"new").unwrap();
            assert!(other.read(&mut [0]).is_err());
            assert_eq!(draft.file().metadata().unwrap().len(), 3);
        }
    }

    #[test]
    fn nameless_draft_is_seen_by_nobody_until_it_is_published() {
        let pool = tempfile::tempdir().unwrap();
        let root = PoolRoot::open_at(pool.path()).unwrap();
        let entries = || std::fs::read_dir(pool.path()).unwrap().count();
        std::mem::forget(Draft::nameless(&root).unwrap());
        assert_eq!(entries(), 0, "a killed process leaves nothing");
        let draft = Draft::nameless(&root).unwrap();
        std::io::Write::write_all(&mut draft.file(), b"new").unwrap();
        draft.publish("a").unwrap();
        assert_eq!(std::fs::read(pool.path().join("a")).unwrap(), b"new");
        let taken = Draft::nameless(&root).unwrap().publish("a").unwrap_err();
        assert_eq!((taken.code(), entries()), ("volume.exists", 1));
        Draft::nameless(&root).unwrap().replace("a").unwrap();
        assert_eq!((std::fs::read(pool.path().join("a")).unwrap().len(), entries()), (0, 1));
    }

    #[test]
    fn published_volume_is_private_and_replaces_nothing() {
        use std::os::unix::fs::PermissionsExt as _;
        let pool = tempfile::tempdir().unwrap();
        let root = PoolRoot::open_at(pool.path()).unwrap();
        let draft = Draft::begin(&root, 1).unwrap();
        draft.give(&Permissions::default()).unwrap();
        draft.publish("a").unwrap();
        assert_eq!(std::fs::metadata(pool.path().join("a")).unwrap().permissions().mode() & 0o7777, 0o600);
        let error = Draft::begin(&root, 2).unwrap().publish("a").unwrap_err();
        assert_eq!((error.kind, error.code()), (ErrorKind::Exists, "volume.exists"));
        assert_eq!(std::fs::read_dir(pool.path()).unwrap().count(), 1);
    }
}
