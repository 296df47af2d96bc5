//! The file-system calls that state depends on, as a seam: the real ones, or a double that fails or dies.

use std::fmt::Debug;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::{Mode, OFlags, RawDir};

/// Mode of every directory hostler makes: nobody but the owner looks inside.
const DIRECTORY_MODE: u32 = 0o700;
/// Mode of every file hostler makes.
const FILE_MODE: u32 = 0o600;
/// Room for a usual record, in bytes: a definition is a few KiB.
const USUAL_BYTES: usize = 16 << 10;
/// Room for the entries of a directory that are read at once, in bytes.
const NAMES_BYTES: usize = 8 << 10;

/// Each method is one step that can fail, or be the last one before the process dies.
///
/// Crash tests replace this with a double; nothing else should implement it.
pub trait Disk: Debug + Send + Sync {
    /// Reads a whole regular file of at most `limit` bytes (`FileTooLarge` beyond). Follows no link.
    ///
    /// # Errors
    /// Whatever the operating system answers.
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>>;
    /// The names inside a directory, unsorted; names that are not UTF-8 are not ours and are left out.
    ///
    /// # Errors
    /// Whatever the operating system answers.
    fn names(&self, directory: &Path) -> io::Result<Vec<String>>;
    /// Makes one directory (mode 0700).
    ///
    /// # Errors
    /// `AlreadyExists`, or whatever the operating system answers.
    fn make_directory(&self, path: &Path) -> io::Result<()>;
    /// Makes a new empty file (mode 0600).
    ///
    /// # Errors
    /// `AlreadyExists`, or whatever the operating system answers.
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn Draft>>;
    /// Replaces `to` by `from`, atomically.
    ///
    /// # Errors
    /// Whatever the operating system answers.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Gives a file a second name, which nothing may have.
    ///
    /// # Errors
    /// `AlreadyExists`, `PermissionDenied` where the file system has no second names, or whatever else the operating
    /// system answers.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::hard_link(from, to)
    }
    /// Unlinks a file.
    ///
    /// # Errors
    /// Whatever the operating system answers.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty directory.
    ///
    /// # Errors
    /// Whatever the operating system answers.
    fn remove_directory(&self, path: &Path) -> io::Result<()>;
    /// Makes the entries of a directory durable (fsync).
    ///
    /// # Errors
    /// Whatever the operating system answers; after an error nothing about the directory is certain.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
}

/// A file being written, not yet under its final name.
pub trait Draft {
    /// Writes all bytes.
    ///
    /// # Errors
    /// Whatever the operating system answers; some bytes may have been written.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes the content durable (fdatasync).
    ///
    /// # Errors
    /// Whatever the operating system answers; after an error nothing about the content is certain.
    fn sync_data(&mut self) -> io::Result<()>;
}

/// The operating system itself.
#[derive(Debug, Default, Clone, Copy)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let file = OpenOptions::new().read(true).custom_flags(no_follow()).open(path)?;
        // Nearly every file fits: an owner reads one for each domain, and asking for its length costs as much as reading it.
        let mut bytes = Vec::with_capacity(USUAL_BYTES);
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(bytes)
    }

    fn names(&self, directory: &Path) -> io::Result<Vec<String>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(directory, flags, Mode::empty())?;
        let (mut names, mut buffer) = (Vec::new(), Vec::with_capacity(NAMES_BYTES));
        let mut entries = RawDir::new(directory, buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_str().ok();
            names.extend(name.filter(|name| !matches!(*name, "." | "..")).map(str::to_owned));
        }
        Ok(names)
    }

    fn make_directory(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().mode(DIRECTORY_MODE).create(path)
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn Draft>> {
        let file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path)?;
        Ok(Box::new(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_dir(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

impl Draft for File {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        io::Write::write_all(self, bytes)?;
        self.flush()
    }

    fn sync_data(&mut self) -> io::Result<()> {
        File::sync_data(self)
    }
}

/// Opens a plain file of ours for reading and writing, made (mode 0600) when absent.
pub(crate) fn open_shared_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(FILE_MODE);
    options.custom_flags(no_follow()).open(path)
}

#[expect(clippy::cast_possible_wrap, reason = "open flags are a bit set; the sign carries nothing")]
fn no_follow() -> i32 {
    OFlags::NOFOLLOW.bits() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_over_limit_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        std::fs::write(&path, [0; 11]).unwrap();
        assert_eq!(RealDisk.read(&path, 10).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(RealDisk.read(&path, 11).unwrap().len(), 11);
    }

    #[test]
    fn read_of_a_link_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", directory.path().join("f")).unwrap();
        assert!(RealDisk.read(&directory.path().join("f"), 1 << 20).is_err());
    }

    #[test]
    fn new_files_and_directories_are_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let (made, file) = (directory.path().join("d"), directory.path().join("f"));
        RealDisk.make_directory(&made).unwrap();
        RealDisk.create_new(&file).unwrap().write_all(b"x").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&made), mode(&file)), (0o700, 0o600));
    }
}
