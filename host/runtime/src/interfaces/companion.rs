//! What a launch's companions are made of: their plans, links to them, the directories that they keep files in, and the folders
//! that they serve.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hostler_domain::filesystem::{Filesystem, FilesystemDriver};
use hostler_grant::Capability;
use hostler_launch::{Companion as Planned, KEEPER_UID, Role};
use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Uid, chownat, fchown, fstat, open, statat};
use rustix::process::geteuid;
use wasmtime::component::Resource;

use super::domain::{Subject, only_reads, state_failed};
use super::endpoint::{Endpoint, File, unopened};
use super::process::converted;
use crate::answer;
use crate::bindings::wit::domain::Companion;
use crate::bindings::wit::process::LaunchPlan;
use crate::bindings::wit::types::Error;
use crate::call::{CallState, ContractViolation};
use crate::limits;
use crate::opened::Opened;

/// Longest name of a directory, in bytes.
const DIRECTORY_NAME_BYTES: usize = 32;

impl CallState {
    /// Two sockets that are connected when a launch names them.
    pub(crate) fn make_link(
        &mut self,
        companion: String,
    ) -> wasmtime::Result<Result<Resource<Endpoint>, Error>> {
        if companion.len() > limits::SOCKET_NAME_BYTES {
            return Err(ContractViolation(format!("a companion's name of {} bytes", companion.len())).into());
        }
        Ok(Ok(self.table.push(Endpoint::Link(companion))?))
    }

    /// The folder that the filesystem at this position shares.
    pub(crate) async fn open_shared_folder(
        &mut self,
        subject: Arc<Subject>,
        position: u32,
    ) -> wasmtime::Result<Result<Resource<File>, Error>> {
        if let Err(denied) = self.require(Capability::Storage, "") {
            return Ok(Err(denied));
        }
        let opened = self
            .blocking("domain.shared-folder", limits::FILE_DEADLINE, move |_| folder(&subject, position))
            .await?;
        match opened {
            Ok(opened) => Ok(Ok(self.table.push(File(Arc::new(opened)))?)),
            Err(error) => Ok(Err(error)),
        }
    }

    /// The directory of this name, made where it is not there; where it would be when nothing may be opened.
    pub(crate) async fn open_directory(
        &mut self,
        subject: Arc<Subject>,
        name: String,
    ) -> wasmtime::Result<Result<Resource<File>, Error>> {
        if let Err(denied) = self.require(Capability::Endpoint, "") {
            return Ok(Err(denied));
        }
        if !is_name(&name) {
            let shown = crate::text::escape(&name, DIRECTORY_NAME_BYTES);
            let message = format!("'{shown}' is no name for a directory");
            return Ok(Err(Error::Invalid(answer::problem("directory.name", message))));
        }
        let opened = self
            .blocking("domain.directory", limits::FILE_DEADLINE, move |_| directory(&subject, &name))
            .await?;
        match opened {
            Ok(opened) => Ok(Ok(self.table.push(File(Arc::new(opened)))?)),
            Err(error) => Ok(Err(error)),
        }
    }
}

fn directory(subject: &Subject, name: &str) -> Result<Opened, Error> {
    let context = &subject.context;
    let (path, fd): (PathBuf, _) = if subject.describes() {
        (context.state.directory().keeps_path(context.uuid).join(name), None)
    } else {
        let owner = context.state.owner().ok_or_else(only_reads)?;
        let path = owner.keep(context.uuid, name).map_err(|error| state_failed(&error))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = open(&path, flags, Mode::empty()).map_err(|error| unopened(&path, &error.into()))?;
        belong_to_keeper(&fd).map_err(|error| unopened(&path, &error))?;
        (path, Some(fd))
    };
    Ok(Opened { fd, writable: true, role: Role::Directory, format: "raw", data_apart: false, path })
}

/// On the host a root owner's helpers leave no files of root's: a mode that makes a program of one would make it root's.
/// Files that a helper without a cage has left are taken over too: one with a cage could not open them.
fn belong_to_keeper(directory: &OwnedFd) -> io::Result<()> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let keeper = (Some(Uid::from_raw(KEEPER_UID)), Some(Gid::from_raw(KEEPER_UID)));
    if fstat(directory)?.st_uid != KEEPER_UID {
        fchown(directory, keeper.0, keeper.1)?;
    }
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let found = statat(directory, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)?;
        // A file with another name may be anybody's.
        let plain = FileType::from_raw_mode(found.st_mode) == FileType::RegularFile && found.st_nlink == 1;
        if plain && Uid::from_raw(found.st_uid).is_root() {
            chownat(directory, entry.file_name(), keeper.0, keeper.1, AtFlags::SYMLINK_NOFOLLOW)?;
        }
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    !name.is_empty() && name.len() <= DIRECTORY_NAME_BYTES && !name.starts_with('.') && name.bytes().all(fine)
}

/// The folder that a filesystem shares; where it would be when nothing may be opened.
fn folder(subject: &Subject, position: u32) -> Result<Opened, Error> {
    let filesystems = &subject.document()?.devices.filesystems;
    let filesystem = usize::try_from(position).ok().and_then(|position| filesystems.get(position));
    // Others are not for a server: what the document has read-only would be written to.
    let is_served = |filesystem: &&Filesystem| {
        filesystem.driver == Some(FilesystemDriver::Virtiofs) && !filesystem.readonly
    };
    let source = filesystem.filter(is_served).and_then(|filesystem| filesystem.source.as_ref());
    let path = source.map(PathBuf::from).ok_or_else(|| {
        let message = format!("the document has no virtiofs filesystem {position} with a directory");
        Error::NotFound(answer::problem("filesystem.not-found", message))
    })?;
    let fd = match subject.describes() {
        true => None,
        false => Some(open_folder(subject, &path)?),
    };
    Ok(Opened { fd, writable: true, role: Role::Folder, format: "raw", data_apart: false, path })
}

fn open_folder(subject: &Subject, path: &Path) -> Result<OwnedFd, Error> {
    let context = &subject.context;
    let fd = context.roots.open_folder(path).map_err(|error| unshared(path, &error))?;
    // A guest that writes there would write the host's own records.
    let state = std::fs::canonicalize(context.state.directory().root());
    let state = state.map_err(|error| unopened(path, &error))?;
    let place = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()));
    let place = place.map_err(|error| unopened(path, &error))?;
    if state.starts_with(&place) || place.starts_with(&state) {
        let message = format!("'{}' has the host's own records in it, or is among them", path.display());
        let problem = answer::problem("filesystem.state-directory", message)
            .detail("path", path.display().to_string())
            .hint("share a directory that is neither above nor below the state directory");
        return Err(Error::Denied(problem));
    }
    Ok(fd)
}

/// What the driver is told when a shared folder cannot be opened.
fn unshared(path: &Path, error: &io::Error) -> Error {
    let missing = "make the directory that the guest is to see, or correct <source dir='…'/>";
    match unopened(path, error) {
        Error::NotFound(problem) => Error::NotFound(problem.hint(missing)),
        Error::Host(problem) if error.kind() == io::ErrorKind::NotADirectory => {
            Error::Invalid(problem.hint("<source dir='…'/> must be a directory"))
        }
        error => error,
    }
}

/// The launcher's companions; their trees are checked against the contract here, against policy later.
pub(super) fn planned(companions: Vec<Companion>, handles: usize) -> Result<Vec<Planned>, ContractViolation> {
    if companions.len() > limits::COMPANIONS {
        return Err(ContractViolation(format!("a launch with {} companions", companions.len())));
    }
    let one = |companion: Companion| {
        let Companion { name, template, options, environment } = companion;
        let plan = LaunchPlan { template, options, environment, reactions: Vec::new() };
        Ok(Planned { name, plan: converted(plan, handles)? })
    };
    companions.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_directories_stay_in_theirs() {
        for (name, good) in
            [("tpm2", true), ("tpm1.2", true), ("..", false), ("a/b", false), ("", false), ("A", false)]
        {
            assert_eq!(is_name(name), good, "{name:?}");
        }
        assert!(!is_name(&"a".repeat(33)));
    }
}
