//! Which file a name leads to, in words that can be kept.

use std::fmt;
use std::io;
use std::os::fd::AsFd;

use rustix::fs::{AtFlags, Statx, StatxFlags};

/// Which file or directory something is. Its number alone would not do: a file system gives that of a file that was
/// removed to the next one. With the time of birth it is that file for ever, also after a boot, when devices may have
/// other numbers; where the file system keeps no such time, the device stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileIdentity {
    inode: u64,
    home: Home,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Home {
    /// Seconds since 1970, and nanoseconds.
    Born(i64, u32),
    /// Major and minor number.
    Device(u32, u32),
}

impl FileIdentity {
    /// What has to be asked of `statx` to know it.
    pub(crate) const ASKED: StatxFlags = StatxFlags::INO.union(StatxFlags::BTIME);

    /// That of an open file.
    ///
    /// # Errors
    /// What the operating system says.
    pub(crate) fn of(file: impl AsFd) -> io::Result<Self> {
        Self::at(file, "", AtFlags::EMPTY_PATH)
    }

    /// That of what is called `name` in a directory, a link included.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] when there is nothing; what the operating system says.
    pub(crate) fn of_name(directory: impl AsFd, name: &str) -> io::Result<Self> {
        Self::at(directory, name, AtFlags::SYMLINK_NOFOLLOW)
    }

    fn at(file: impl AsFd, name: &str, flags: AtFlags) -> io::Result<Self> {
        Ok(Self::from(&rustix::fs::statx(file, name, flags, Self::ASKED)?))
    }
}

impl From<&Statx> for FileIdentity {
    fn from(found: &Statx) -> Self {
        let home = if StatxFlags::from_bits_retain(found.stx_mask).contains(StatxFlags::BTIME) {
            Home::Born(found.stx_btime.tv_sec, found.stx_btime.tv_nsec)
        } else {
            Home::Device(found.stx_dev_major, found.stx_dev_minor)
        };
        Self { inode: found.stx_ino, home }
    }
}

/// As it is kept in records: equal words are the same file.
impl fmt::Display for FileIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.home {
            Home::Born(seconds, nanos) => write!(f, "inode {} born {seconds}.{nanos:09}", self.inode),
            Home::Device(major, minor) => write!(f, "inode {} on {major}:{minor}", self.inode),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn name_and_descriptor_are_one_file_and_another_file_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let here = File::open(directory.path()).unwrap();
        let (a, b) = (directory.path().join("a"), directory.path().join("b"));
        std::fs::write(&a, "").unwrap();
        let first = FileIdentity::of(File::open(&a).unwrap()).unwrap();
        assert_eq!(FileIdentity::of_name(&here, "a").unwrap(), first);
        std::fs::write(&b, "").unwrap();
        std::fs::rename(&a, directory.path().join("c")).unwrap();
        assert_eq!(FileIdentity::of_name(&here, "c").unwrap().to_string(), first.to_string());
        std::fs::rename(&b, &a).unwrap();
        let second = FileIdentity::of_name(&here, "a").unwrap();
        assert!(second != first && second.to_string() != first.to_string());
        assert_eq!(FileIdentity::of_name(&here, "b").unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn words_tell_both_kinds_apart() {
        let shown = |home| FileIdentity { inode: 7, home }.to_string();
        assert_eq!(shown(Home::Born(1, 5)), "inode 7 born 1.000000005");
        assert_eq!(shown(Home::Device(8, 1)), "inode 7 on 8:1");
    }
}
