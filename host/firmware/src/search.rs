//! Finding the descriptors of this host. They are the host's own configuration, read with bounds all the same.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::descriptor::Descriptor;
use crate::error::{ErrorKind, FirmwareError};

/// Largest descriptor file in bytes; real ones have about 1 KiB.
const MAX_DESCRIPTOR_BYTES: u64 = 64 << 10;
/// Most descriptor files of one directory.
const MAX_DESCRIPTORS: usize = 1024;

/// The directories that are searched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchPath {
    directories: Vec<PathBuf>,
}

/// What a search found.
#[derive(Debug, Default)]
pub struct Descriptors {
    /// The descriptors, in the order in which they are tried: by file name.
    pub found: Vec<Descriptor>,
    /// Files that could not be used; none of them hides another.
    pub errors: Vec<FirmwareError>,
    /// Files that are not looked at because of one with the same name in a more important directory.
    pub hidden: Vec<Hidden>,
}

/// A descriptor file that another of its name takes the place of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hidden {
    /// The file.
    pub path: PathBuf,
    /// The file in its place.
    pub by: PathBuf,
    /// Whether that one is empty, which is how an administrator takes a descriptor away.
    pub masked: bool,
}

impl SearchPath {
    /// The directories of the system: those of packages, then the administrator's.
    #[must_use]
    pub fn system() -> Self {
        Self::new(["/usr/share/qemu/firmware", "/etc/qemu/firmware"])
    }

    /// Directories of the caller's choice, least important first.
    #[must_use]
    pub fn new<P: Into<PathBuf>>(directories: impl IntoIterator<Item = P>) -> Self {
        Self { directories: directories.into_iter().map(Into::into).collect() }
    }

    /// Adds a directory that is more important than all before, for example that of a user.
    #[must_use]
    pub fn with(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directories.push(directory.into());
        self
    }

    /// The directories, least important first.
    #[must_use]
    pub fn directories(&self) -> &[PathBuf] {
        &self.directories
    }

    /// Reads all descriptors. A file of the same name in a later directory replaces an earlier one, and an
    /// empty file masks it. Directories that do not exist are no error.
    #[must_use]
    pub fn load(&self) -> Descriptors {
        let mut descriptors = Descriptors::default();
        // By name, the files that have it, least important first.
        let mut files: BTreeMap<OsString, Vec<PathBuf>> = BTreeMap::new();
        for directory in &self.directories {
            match list(directory) {
                Ok(found) => {
                    found.into_iter().for_each(|(name, path)| files.entry(name).or_default().push(path))
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    descriptors.errors.push(FirmwareError::io(directory, "listing descriptors", error))
                }
            }
        }
        for mut paths in files.into_values() {
            let Some(path) = paths.pop() else { continue };
            let read = read(&path);
            let masked = matches!(read, Ok(None));
            descriptors.hidden.extend(paths.into_iter().map(|hidden| Hidden {
                path: hidden,
                by: path.clone(),
                masked,
            }));
            match read {
                Ok(descriptor) => descriptors.found.extend(descriptor),
                Err(error) => descriptors.errors.push(error),
            }
        }
        descriptors
    }
}

fn list(directory: &Path) -> io::Result<Vec<(OsString, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)?.take(MAX_DESCRIPTORS) {
        let path = entry?.path();
        if let (Some(name), Some("json")) =
            (path.file_name(), path.extension().and_then(|suffix| suffix.to_str()))
        {
            files.push((name.to_owned(), path));
        }
    }
    Ok(files)
}

/// Reads one file; an empty one is no descriptor.
fn read(path: &Path) -> Result<Option<Descriptor>, FirmwareError> {
    let file = File::open(path).map_err(|error| FirmwareError::io(path, "opening the descriptor", error))?;
    let mut text = Vec::new();
    let failed = |error| FirmwareError::io(path, "reading the descriptor", error);
    file.take(MAX_DESCRIPTOR_BYTES.saturating_add(1)).read_to_end(&mut text).map_err(failed)?;
    if text.is_empty() {
        return Ok(None);
    }
    let invalid = |message: &str| FirmwareError::new(ErrorKind::DescriptorInvalid, message).of(path);
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > MAX_DESCRIPTOR_BYTES {
        return Err(invalid("the descriptor is larger than 64 KiB"));
    }
    let descriptor: Descriptor = serde_json::from_slice(&text).map_err(|error| {
        invalid(&format!(
            "line {} column {} is not what the specification asks for",
            error.line(),
            error.column()
        ))
        .caused_by(error)
        .hint("repair the file, or mask it with an empty file of the same name in /etc/qemu/firmware")
    })?;
    Ok(Some(Descriptor { path: path.to_path_buf(), ..descriptor }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"description":"D","interface-types":["uefi"],"mapping":{"device":"memory","filename":"/x"},
        "targets":[{"architecture":"x86_64","machines":["pc-*"]}]}"#;

    fn write(directory: &Path, name: &str, text: &str) {
        fs::create_dir_all(directory).unwrap();
        fs::write(directory.join(name), text).unwrap();
    }

    #[test]
    fn later_directories_replace_and_mask() {
        let home = tempfile::tempdir().unwrap();
        let (vendor, local) = (home.path().join("vendor"), home.path().join("local"));
        write(&vendor, "50-b.json", GOOD);
        write(&vendor, "40-a.json", GOOD);
        write(&vendor, "60-c.json", GOOD);
        write(&vendor, "README", "not a descriptor");
        write(&local, "50-b.json", &GOOD.replace("\"D\"", "\"local\""));
        write(&local, "60-c.json", "");
        let found = SearchPath::new([&vendor, &local]).with(home.path().join("absent")).load();
        assert!(found.errors.is_empty(), "{:?}", found.errors);
        let names: Vec<_> = found.found.iter().map(|descriptor| descriptor.description.as_str()).collect();
        assert_eq!(names, ["D", "local"]);
        assert_eq!(found.found[1].path, local.join("50-b.json"));
        let hidden = |name: &str, masked| Hidden { path: vendor.join(name), by: local.join(name), masked };
        assert_eq!(found.hidden, [hidden("50-b.json", false), hidden("60-c.json", true)]);
    }

    #[test]
    fn one_bad_file_does_not_hide_the_others() {
        let home = tempfile::tempdir().unwrap();
        write(home.path(), "1.json", "{");
        write(home.path(), "2.json", &" ".repeat(65 << 10));
        write(home.path(), "3.json", GOOD);
        let found = SearchPath::new([home.path()]).load();
        assert_eq!(found.found.len(), 1);
        let codes: Vec<_> = found.errors.iter().map(FirmwareError::code).collect();
        assert_eq!(codes, ["firmware.descriptor-invalid"; 2]);
        assert!(found.errors[0].to_string().contains("line 1"), "{}", found.errors[0]);
    }
}
