//! What one launch's cage has: the template's rule applied to a plan.

use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::closure::{self, Closure, Item};
use super::rule::{self, CageRule};
use super::{CageSetting, Wall, WallFailure};
use crate::error::{LaunchError, LaunchErrorKind};
use crate::plan::Plan;
use crate::template::Template;

/// Where a program looks its own name up that makes a cage of its own, before it does.
const OWN_NAME: &str = "/proc/self/exe";
/// The directory that it makes its root of.
pub(crate) const OWN_ROOT: &str = "/tmp";
/// Where the program finds the directory for sockets that it makes.
pub(crate) const SOCKETS: &str = "/sockets";
/// Where it finds the folders that it serves, by the numbers of their descriptors.
pub(crate) const FOLDERS: &str = "/folders";

/// Everything that the stage must know to build the walls.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct CagePlan {
    /// Files, directories and links of the host.
    pub(crate) items: Vec<Item>,
    /// Device nodes.
    pub(crate) devices: Vec<PathBuf>,
    /// Descriptors that the program opens by a path, and that path.
    pub(crate) files: Vec<NamedFile>,
    /// The directory of the host in which the program makes sockets.
    pub(crate) sockets: Option<PathBuf>,
    /// The program stays in the host's network.
    pub(crate) host_network: bool,
    pub(crate) io_uring: bool,
    /// Modes of files may be set, to what their owner alone may do.
    #[serde(default)]
    pub(crate) sets_modes: bool,
    /// The program makes a cage of its own, within this one.
    #[serde(default)]
    pub(crate) confines_itself: bool,
    /// The folders of the host that the program serves; a file server is caged in its own way.
    #[serde(default)]
    pub(crate) folders: Vec<NamedFile>,
    #[serde(default)]
    pub(crate) file_server: bool,
    /// Memory of any size may be locked.
    pub(crate) lock_memory: bool,
    pub(crate) landlock: bool,
}

impl CagePlan {
    /// The directories of the host among its files: those that are served, then those that files are made in.
    pub(crate) fn directories(&self) -> impl Iterator<Item = &NamedFile> {
        self.folders.iter().chain(self.files.iter().filter(|file| file.directory))
    }

    /// Gives those that files are made in the numbers under which they are held here, in the order of the plan.
    ///
    /// # Errors
    /// There are as many as are declared, or the wall of the root does not stand.
    pub(crate) fn hold_directories(&mut self, held: &[OwnedFd]) -> Result<(), WallFailure> {
        if self.directories().count() != held.len() {
            return Err(Wall::Root.failed("take directories in", "some of them did not arrive"));
        }
        let declared = self.files.iter_mut().filter(|file| file.directory);
        for (file, fd) in declared.zip(held.iter().skip(self.folders.len())) {
            file.fd = fd.as_raw_fd();
        }
        Ok(())
    }
}

/// An open file, or directory, that is found at a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NamedFile {
    pub(crate) fd: RawFd,
    pub(crate) path: PathBuf,
    /// It may be written to under that path.
    pub(crate) writable: bool,
    /// It is a directory, in which files are made and removed.
    #[serde(default)]
    pub(crate) directory: bool,
    /// It is a directory of the host's that the program serves.
    #[serde(default)]
    pub(crate) folder: bool,
}

/// Makes the plan of the cage; nothing when the setting asks for none.
///
/// # Errors
/// [`LaunchErrorKind::CageFailed`] when the template does not say what is needed, or when that is not there.
pub(crate) fn make(
    setting: CageSetting,
    plan: &Plan,
    template: &Template,
    files: Vec<NamedFile>,
    sockets: Option<&Path>,
) -> Result<Option<CagePlan>, LaunchError> {
    if setting == CageSetting::Off {
        return Ok(None);
    }
    let rule = template.data.cage.as_ref().ok_or_else(|| undeclared(template))?;
    let (folders, files): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| file.folder);
    if !folders.is_empty() && !rule.file_server {
        let message = format!("template '{}' is of no program that serves folders", template.name());
        return Err(LaunchError::new(LaunchErrorKind::PlanInvalid, message));
    }
    let program = template.program()?;
    let mut items = closure::resolve(program, rule)?;
    if rule.confines_itself {
        items.push(Item::Link { at: OWN_NAME.into(), to: program.to_owned() });
    }
    let host_network = rule.host_network.always || rule::any(&rule.host_network.when, plan);
    if host_network {
        items.extend(
            network_files(rule)?.into_iter().filter(|item| !items.contains(item)).collect::<Vec<_>>(),
        );
    }
    let wanted = rule.devices.iter().filter(|device| device.when.is_empty() || rule::any(&device.when, plan));
    Ok(Some(CagePlan {
        items,
        devices: wanted.map(|device| device.path.clone()).collect(),
        files,
        sockets: sockets.map(Path::to_owned),
        host_network,
        io_uring: rule::any(&rule.io_uring, plan),
        sets_modes: rule.sets_modes,
        confines_itself: rule.confines_itself,
        folders,
        file_server: rule.file_server,
        lock_memory: rule::any(&rule.lock_memory, plan),
        landlock: setting == CageSetting::Require,
    }))
}

fn network_files(rule: &CageRule) -> Result<Vec<Item>, LaunchError> {
    let mut closure = Closure::default();
    for path in rule.host_network.files.iter().filter(|path| path.exists()) {
        closure.add(path, false)?;
    }
    closure.finish()
}

fn undeclared(template: &Template) -> LaunchError {
    let message = format!("template '{}' does not say what its program needs in a cage", template.name());
    LaunchError::new(LaunchErrorKind::CageFailed, message)
        .hint("add 'cage' to the template, as in host/launch/templates/qemu-system-x86_64.json")
}

/// Whether everything that the template declares is on this host.
///
/// # Errors
/// As [`make`].
pub(crate) fn check_closure(template: &Template) -> Result<usize, LaunchError> {
    let rule = template.data.cage.as_ref().ok_or_else(|| undeclared(template))?;
    closure::resolve(template.program()?, rule).map(|items| items.len())
}
