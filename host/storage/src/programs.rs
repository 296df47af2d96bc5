//! The programs of the system that pools need: qemu-img, and those of LVM.

use std::path::{Path, PathBuf};

use crate::error::{ErrorKind, StorageError};

/// Directories that are searched besides `PATH`: programs of administrators are often not in it.
const ALSO: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/local/sbin"];

/// Where the programs are; one that is absent is only missed when it is needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Programs {
    /// `qemu-img`, which writes images.
    pub qemu_img: Option<PathBuf>,
    /// `lvs`, which lists logical volumes.
    pub lvs: Option<PathBuf>,
    /// `vgs`, which measures volume groups.
    pub vgs: Option<PathBuf>,
}

impl Programs {
    /// Looks for them in `path` (directories separated by colons, as in `PATH`) and where administrators' programs are.
    #[must_use]
    pub fn found(path: &std::ffi::OsStr) -> Self {
        let directories: Vec<PathBuf> =
            std::env::split_paths(path).filter(|directory| directory.is_absolute()).collect();
        let find = |name: &str| {
            let places = directories.iter().map(PathBuf::as_path).chain(ALSO.iter().map(Path::new));
            places.map(|directory| directory.join(name)).find(|program| program.is_file())
        };
        Self { qemu_img: find("qemu-img"), lvs: find("lvs"), vgs: find("vgs") }
    }

    pub(crate) fn qemu_img(&self) -> Result<&Path, StorageError> {
        self.qemu_img.as_deref().ok_or_else(|| missing("qemu-img", "images cannot be written", "qemu-utils"))
    }

    pub(crate) fn lvs(&self) -> Result<&Path, StorageError> {
        self.lvs.as_deref().ok_or_else(|| missing("lvs", "pools of type 'logical' cannot be used", "lvm2"))
    }

    pub(crate) fn vgs(&self) -> Result<&Path, StorageError> {
        self.vgs.as_deref().ok_or_else(|| missing("vgs", "pools of type 'logical' cannot be used", "lvm2"))
    }
}

fn missing(program: &str, consequence: &str, package: &str) -> StorageError {
    let message = format!("the program '{program}' is not on this machine, so {consequence}");
    StorageError::new(ErrorKind::Unsupported, "storage.program-missing", message)
        .hint_command("install it", format!("apt-get install {package}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_in_the_path_and_missed_when_needed() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("qemu-img"), "").unwrap();
        let programs = Programs::found(directory.path().as_os_str());
        assert_eq!(programs.qemu_img().unwrap(), directory.path().join("qemu-img"));
        let error = Programs::default().lvs().unwrap_err();
        assert_eq!((error.kind, error.code()), (ErrorKind::Unsupported, "storage.program-missing"));
        assert_eq!(error.hints[0].command.as_deref(), Some("apt-get install lvm2"));
    }
}
