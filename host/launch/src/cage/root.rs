//! The wall of the root: an empty file system with read-only binds of what was declared.

use std::ffi::{CStr, CString};
use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Gid, Mode, OFlags, StatVfsMountFlags, Uid, chown, mknodat, open, statvfs};
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount, mount_change,
    mount_remount, move_mount, open_tree, unmount,
};
use rustix::process::{chdir, pivot_root};

use super::closure::Item;
use super::mapped::{self, Mappings, is_open_to_all};
use super::plan::{CagePlan, NamedFile, OWN_ROOT, SOCKETS};
use super::{Wall, WallFailure, server};

/// Room for the root's own directories and links, in bytes.
const OWN_BYTES: u64 = 4 << 20;
/// Largest file that is copied into the cage because its program could not open it, in bytes.
const COPY_MAX_BYTES: u64 = 1 << 30;

/// A part of the host, taken before anything covers it, and its place inside.
struct Part {
    tree: OwnedFd,
    place: PathBuf,
    directory: bool,
    /// What may be done with it beyond reading.
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Files are read and nothing else.
    ReadOnly,
    /// A device node: reading only is no hindrance to writing to the device.
    Device,
    /// A file that is written to as well.
    Writable,
    /// New sockets may be made in it.
    Sockets,
}

/// Makes the new root over the directory `over` of the host, which only this namespace sees covered, and moves
/// into it. `identity` is the user that the program will be, when that is not ours.
pub(crate) fn build(
    plan: &CagePlan,
    identity: Option<u32>,
    mappings: &Mappings,
    over: &Path,
) -> Result<(), WallFailure> {
    cut_off()?;
    let Files { bound, copied } = sort_files(&plan.files, identity, mappings)?;
    let mut parts = parts(plan, identity)?;
    parts.extend(bound);
    let bytes = copied.iter().fold(OWN_BYTES, |sum, (_, size)| sum.saturating_add(*size));
    let options =
        CString::new(format!("mode=0755,size={bytes}")).map_err(|error| Wall::Root.failed("size", error))?;
    lay_out(plan, &parts, over, &options)?;
    for (file, _) in copied {
        copy(&file, over)?;
    }
    if let Some(uid) = identity {
        own_devices(plan, uid, over)?;
    }
    enter(over)
}

/// As [`build`], for a file server: with its folders, on which the owners of files are `users` where there are some, and a
/// `/proc` of its own.
pub(crate) fn build_served(
    plan: &CagePlan,
    folders: &[OwnedFd],
    users: Option<&OwnedFd>,
    over: &Path,
) -> Result<(), WallFailure> {
    cut_off()?;
    if plan.folders.len() != folders.len() {
        return Err(Wall::Root.failed("take folders in", "some of them did not arrive"));
    }
    let mut parts = parts(plan, users.map(|_| server::FIRST_USER))?;
    for (named, fd) in plan.folders.iter().zip(folders) {
        parts.push(folder(named, fd, users)?);
    }
    lay_out(plan, &parts, over, c"mode=0755,size=4194304")?;
    let proc = inside(over, Path::new(server::PROC));
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    make_place(&proc, true).map_err(|error| Wall::Root.failed("make '/proc'", error))?;
    mount("proc", &proc, "proc", flags, None).map_err(|error| {
        Wall::Root
            .failed("mount its own '/proc'", error)
            .hint("in a container, nothing of '/proc' may be hidden; or start hostler as root of the host")
    })?;
    enter(over)
}

/// What is mounted from here on is not the host's.
fn cut_off() -> Result<(), WallFailure> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(|error| Wall::Root.failed("cut mounts off from the host's", io::Error::from(error)))
}

/// Mounts an empty root, and puts the links of the plan and these parts into it.
fn lay_out(plan: &CagePlan, parts: &[Part], over: &Path, options: &CStr) -> Result<(), WallFailure> {
    mount("tmpfs", over, "tmpfs", MountFlags::NOSUID, options)
        .map_err(|error| Wall::Root.failed("mount an empty root", io::Error::from(error)))?;
    for item in &plan.items {
        if let Item::Link { at, to } = item {
            make_link(&inside(over, at), to)?;
        }
    }
    if plan.confines_itself {
        make_place(&inside(over, Path::new(OWN_ROOT)), true)
            .map_err(|error| Wall::Root.failed(format!("make '{OWN_ROOT}'"), error))?;
    }
    parts.iter().try_for_each(|part| place(part, over))
}

/// A folder of the host, if its name still leads to it.
fn folder(named: &NamedFile, fd: &OwnedFd, users: Option<&OwnedFd>) -> Result<Part, WallFailure> {
    let failed = |error: io::Error| Wall::Root.failed("take a folder in", error);
    let found = rustix::fs::fstat(fd).map_err(|error| failed(error.into()))?;
    let held = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let tree = same_file(&held, (found.st_dev, found.st_ino)).map_err(failed)?;
    if let Some(users) = users {
        mapped::set_mapping(&tree, users).map_err(|error| {
            failed(error).hint(
                "its file system must know mounts with mapped owners (ext4, xfs, btrfs, tmpfs …), and hostler be root of \
                 the host",
            )
        })?;
    }
    Ok(Part { tree, place: named.path.clone(), directory: true, kind: Kind::Writable })
}

/// Makes a root with nothing in it, and moves into it.
pub(crate) fn empty() -> Result<(), WallFailure> {
    let failed = |what: &'static str| move |error| Wall::Root.failed(what, io::Error::from(error));
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(failed("cut mounts off from the host's"))?;
    // Any directory that is always there will do: only this namespace sees it covered.
    let over = Path::new("/proc");
    mount("tmpfs", over, "tmpfs", MountFlags::NOSUID, c"mode=0555,size=4096")
        .map_err(failed("mount an empty root"))?;
    enter(over)
}

/// Makes what was built over a directory the root, and lets the host's go.
fn enter(over: &Path) -> Result<(), WallFailure> {
    let failed = |what: &'static str| move |error| Wall::Root.failed(what, io::Error::from(error));
    chdir(over).map_err(failed("enter the new root"))?;
    pivot_root(".", ".").map_err(failed("make it the root"))?;
    unmount(".", UnmountFlags::DETACH).map_err(failed("let the host's root go"))?;
    chdir("/").map_err(failed("enter the new root"))?;
    mount_remount("/", MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID, c"")
        .map_err(failed("make the root read-only"))
}

/// A host's path below the new root.
fn inside(over: &Path, path: &Path) -> PathBuf {
    over.join(path.strip_prefix("/").unwrap_or(path))
}

/// Takes everything that is bound, while its names still lead to it.
fn parts(plan: &CagePlan, identity: Option<u32>) -> Result<Vec<Part>, WallFailure> {
    let mut parts = Vec::new();
    for item in &plan.items {
        match item {
            Item::Link { .. } => {}
            Item::Directory { path } => parts.push(take(path, path, true, Kind::ReadOnly)?),
            // It is there with its directory, and named only to be run.
            Item::File { path, .. } if plan.items.iter().any(|item| has_below(item, path)) => {}
            Item::File { path, .. } => parts.push(take(path, path, false, Kind::ReadOnly)?),
        }
    }
    for path in &plan.devices {
        if identity.is_none() || open_to_all(path)? {
            parts.push(take(path, path, false, Kind::Device)?);
        }
    }
    if let Some(sockets) = &plan.sockets {
        parts.push(take(sockets, Path::new(SOCKETS), true, Kind::Sockets)?);
    }
    Ok(parts)
}

fn has_below(item: &Item, path: &Path) -> bool {
    matches!(item, Item::Directory { path: directory } if path.starts_with(directory))
}

fn take(path: &Path, place: &Path, directory: bool, kind: Kind) -> Result<Part, WallFailure> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = open_tree(CWD, path, flags).map_err(|error| cannot_bind(path, error.into()))?;
    Ok(Part { tree, place: place.to_owned(), directory, kind })
}

fn cannot_bind(path: &Path, error: io::Error) -> WallFailure {
    Wall::Root.failed(format!("bind '{}'", path.display()), error)
}

/// Puts a part in its place and takes the rights from it that it does not need.
fn place(part: &Part, over: &Path) -> Result<(), WallFailure> {
    let target = inside(over, &part.place);
    let failed = |error: io::Error| cannot_bind(&part.place, error);
    make_place(&target, part.directory).map_err(failed)?;
    let whole = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    move_mount(&part.tree, "", CWD, &target, whole).map_err(|error| failed(error.into()))?;
    let mut flags = MountFlags::BIND | MountFlags::NOSUID;
    match part.kind {
        Kind::ReadOnly => flags |= MountFlags::RDONLY | MountFlags::NODEV,
        Kind::Device => flags |= MountFlags::RDONLY | MountFlags::NOEXEC,
        Kind::Writable | Kind::Sockets => flags |= MountFlags::NODEV | MountFlags::NOEXEC,
    }
    // What the host's mount forbids must stay forbidden: an unprivileged owner may not take it off.
    let found = statvfs(&target).map_err(|error| failed(error.into()))?.f_flag;
    for (theirs, ours) in [
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
        (StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (StatVfsMountFlags::RDONLY, MountFlags::RDONLY),
    ] {
        flags.set(ours, flags.contains(ours) || found.contains(theirs));
    }
    mount_remount(&target, flags, c"").map_err(|error| failed(error.into()))
}

/// Something to mount on. Links were made before, and lead where they lead on the host.
fn make_place(target: &Path, directory: bool) -> io::Result<()> {
    let parent = if directory { Some(target) } else { target.parent() };
    if let Some(parent) = parent {
        DirBuilder::new().recursive(true).mode(0o755).create(parent)?;
    }
    if !directory {
        File::options().write(true).create_new(true).open(target)?;
    }
    Ok(())
}

fn make_link(at: &Path, to: &Path) -> Result<(), WallFailure> {
    let parent = at.parent().unwrap_or(Path::new("/"));
    let made = DirBuilder::new().recursive(true).mode(0o755).create(parent);
    made.and_then(|()| std::os::unix::fs::symlink(to, at))
        .map_err(|error| Wall::Root.failed(format!("make the link '{}'", at.display()), error))
}

/// How files come in that the program opens by a path.
struct Files {
    bound: Vec<Part>,
    /// With their sizes in bytes.
    copied: Vec<(NamedFile, u64)>,
}

/// Files that the program opens by a path: bound where their own name still leads to them, with the program as their
/// owner where it could not open them otherwise. What is only read is copied where that cannot be. The descriptor says
/// which file it is; a name is never believed.
fn sort_files(files: &[NamedFile], identity: Option<u32>, mappings: &Mappings) -> Result<Files, WallFailure> {
    let (mut bound, mut copied) = (Vec::new(), Vec::new());
    for file in files {
        let held = format!("/proc/self/fd/{}", file.fd);
        let failed = |error: io::Error| Wall::Root.failed(format!("look at descriptor {}", file.fd), error);
        let found = std::fs::metadata(&held).map_err(failed)?;
        if found.is_dir() != file.directory || !(found.is_file() || file.directory) {
            let message = "only files can be opened by a path in a cage, and this is none";
            return Err(Wall::Root.failed(format!("take '{}' in", file.path.display()), message));
        }
        let open_to_all = identity.is_none() || is_open_to_all(found.mode(), file.writable);
        let tree = same_file(&held, (found.dev(), found.ino())).and_then(|tree| {
            if !open_to_all {
                mappings.give(&tree, (found.uid(), found.gid()))?;
            }
            Ok(tree)
        });
        match tree {
            Ok(tree) => {
                let kind = if file.writable { Kind::Writable } else { Kind::ReadOnly };
                bound.push(Part { tree, place: file.path.clone(), directory: file.directory, kind });
            }
            Err(error) if file.writable || file.directory || found.len() > COPY_MAX_BYTES => {
                return Err(not_taken(file, found.len(), &error));
            }
            Err(_) => copied.push((file.clone(), found.len())),
        }
    }
    Ok(Files { bound, copied })
}

/// Why a file is not there for a program that opens it by a path.
fn not_taken(file: &NamedFile, bytes: u64, error: &io::Error) -> WallFailure {
    let what = format!("take '{}' in", file.path.display());
    if file.writable {
        return Wall::Root.failed(what, error).hint(
            "its file system must know mounts with mapped owners (ext4, xfs, btrfs, tmpfs …) and hostler be root of the \
             host, or everybody must be allowed to read and write the file; and its name must still lead to it",
        );
    }
    let message = format!("{error}; and {bytes} bytes are more than the {COPY_MAX_BYTES} that are copied");
    Wall::Root
        .failed(what, message)
        .hint("make the file readable for everybody, so that it need not be copied")
}

/// The file as a part of this namespace, if its name still leads to it.
fn same_file(held: &str, identity: (u64, u64)) -> io::Result<OwnedFd> {
    let name = std::fs::read_link(held)?;
    let named = open(&name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let found = rustix::fs::fstat(&named)?;
    if (found.st_dev, found.st_ino) != identity {
        return Err(io::Error::other("its name leads to another file by now"));
    }
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    Ok(open_tree(&named, "", flags)?)
}

fn copy(file: &NamedFile, over: &Path) -> Result<(), WallFailure> {
    let target = inside(over, &file.path);
    let copied = make_place(&target, false).and_then(|()| {
        // Opened anew, so that the program's own descriptor stays where it is.
        let mut from = File::open(format!("/proc/self/fd/{}", file.fd))?;
        let mut to = File::options().write(true).open(&target)?;
        io::copy(&mut from, &mut to).map(drop)
    });
    copied.map_err(|error| Wall::Root.failed(format!("copy '{}'", file.path.display()), error))
}

/// Whether everybody may read and write a device.
fn open_to_all(path: &Path) -> Result<bool, WallFailure> {
    let found = std::fs::metadata(path).map_err(|error| cannot_bind(path, error))?;
    if !found.file_type().is_char_device() {
        return Err(cannot_bind(path, io::Error::other("it is no character device")));
    }
    Ok(found.permissions().mode() & 0o006 == 0o006)
}

/// Devices that not everybody may use, made anew for the program alone.
fn own_devices(plan: &CagePlan, uid: u32, over: &Path) -> Result<(), WallFailure> {
    for path in &plan.devices {
        if open_to_all(path)? {
            continue;
        }
        let failed = |error: io::Error| Wall::Root.failed(format!("make '{}'", path.display()), error);
        let target = inside(over, path);
        let number = std::fs::metadata(path).map_err(failed)?.rdev();
        let parent = target.parent().unwrap_or(over);
        DirBuilder::new().recursive(true).mode(0o755).create(parent).map_err(failed)?;
        mknodat(CWD, &target, FileType::CharacterDevice, Mode::RUSR | Mode::WUSR, number)
            .and_then(|()| chown(&target, Some(Uid::from_raw(uid)), Some(Gid::from_raw(uid))))
            .map_err(|error| failed(error.into()))?;
    }
    Ok(())
}
