//! Whether another user could open a file by its name: the first directory or file that stands in the way.

use std::ffi::CStr;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The extended attribute that holds an access control list.
const ACCESS_LIST: &CStr = c"system.posix_acl_access";
/// `r`, `w` and `x` of one class of users.
const READ: u32 = 4;
const WRITE: u32 = 2;
const SEARCH: u32 = 1;

/// A user as permissions see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The number; 0 passes everywhere.
    pub uid: u32,
    /// The primary and all other groups.
    pub gids: Vec<u32>,
}

/// What is to be done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Reading it.
    Read,
    /// Reading and writing it.
    ReadWrite,
}

/// What stands in the way of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Barrier {
    /// The directory or the file.
    pub path: PathBuf,
    /// What the user may not do with it: `search`, `read` or `write`.
    pub lacks: &'static str,
    /// Who owns it.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its permission bits.
    pub mode: u32,
    /// It has an access control list, which is not looked into and may say otherwise.
    pub has_access_list: bool,
}

/// The first directory on the way to `path`, or `path` itself, that `user` cannot pass; none when nothing stands
/// in the way. Judged by permission bits; a security module may refuse still.
///
/// # Errors
/// When something on the way cannot be looked at.
pub fn barrier(path: &Path, needs: Needs, user: &User) -> io::Result<Option<Barrier>> {
    if user.uid == 0 {
        return Ok(None);
    }
    let mut way: Vec<&Path> = path.ancestors().skip(1).collect();
    way.reverse();
    for directory in way {
        if let Some(barrier) = lack(directory, SEARCH, user)? {
            return Ok(Some(barrier));
        }
    }
    let wanted = if needs == Needs::Read { READ } else { READ | WRITE };
    lack(path, wanted, user)
}

fn lack(path: &Path, wanted: u32, user: &User) -> io::Result<Option<Barrier>> {
    let facts = std::fs::metadata(path)?;
    let missing = wanted & !granted(facts.mode(), facts.uid(), facts.gid(), user);
    let lacks = match missing {
        0 => return Ok(None),
        SEARCH => "search",
        missing if missing & READ != 0 => "read",
        _ => "write",
    };
    let has_access_list = rustix::fs::getxattr(path, ACCESS_LIST, &mut [0_u8; 0]).is_ok_and(|size| size > 0);
    let mode = facts.mode() & 0o7777;
    let (uid, gid) = (facts.uid(), facts.gid());
    Ok(Some(Barrier { path: path.to_owned(), lacks, uid, gid, mode, has_access_list }))
}

/// The three bits of the class that `user` belongs to: the first class that fits counts, even where it may less.
fn granted(mode: u32, uid: u32, gid: u32, user: &User) -> u32 {
    let class = match () {
        () if user.uid == uid => mode >> 6,
        () if user.gids.contains(&gid) => mode >> 3,
        () => mode,
    };
    class & (READ | WRITE | SEARCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, create_dir_all, set_permissions, write};
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_first_class_that_fits_counts() {
        let user = User { uid: 7, gids: vec![7, 8] };
        assert_eq!(granted(0o640, 7, 1, &user), 6);
        assert_eq!(granted(0o047, 1, 8, &user), 4);
        assert_eq!(granted(0o077, 7, 8, &user), 0, "an owner without a right does not borrow that of others");
        assert_eq!(granted(0o751, 1, 1, &user), 1);
    }

    #[test]
    fn the_directory_that_cannot_be_passed_is_named() {
        let home = tempfile::tempdir().unwrap();
        set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
        let closed = home.path().join("closed");
        create_dir_all(closed.join("open")).unwrap();
        let image = closed.join("open/disk");
        write(&image, "x").unwrap();
        for (path, mode) in [(&closed, 0o755), (&closed.join("open"), 0o755), (&image, 0o644)] {
            set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }
        let nobody = User { uid: 65_534, gids: vec![65_534] };
        let found =
            |needs| barrier(&image, needs, &nobody).unwrap().map(|barrier| (barrier.path, barrier.lacks));
        assert_eq!(found(Needs::Read), None);
        assert_eq!(found(Needs::ReadWrite), Some((image.clone(), "write")));
        set_permissions(&closed, Permissions::from_mode(0o700)).unwrap();
        assert_eq!(found(Needs::Read), Some((closed.clone(), "search")));
        let root = User { uid: 0, gids: vec![0] };
        assert_eq!(barrier(&image, Needs::ReadWrite, &root).unwrap(), None);
    }
}
