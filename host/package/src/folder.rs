//! A folder as a package: one component, and its signatures beside it.

use std::os::fd::OwnedFd;
use std::path::Path;

use crate::error::{Kind, PackageError};
use crate::file;
use crate::package::{COMPONENT, Form, Package, SIGNATURES, SIGNATURES_ENDING, absent_is_none};

/// The ending of a component's file.
const ENDING: &str = ".wasm";
/// Entries of a folder that are looked at.
const ENTRIES_MAX: usize = 1_024;

/// Reads the one component in a folder; links in it are not followed.
pub(crate) fn open(directory: &OwnedFd, path: &Path) -> Result<Package, PackageError> {
    let name = component_name(path)?;
    let shown = path.join(&name);
    let bytes = file::read_beneath(directory, &name, &shown, COMPONENT)?;
    let signatures = format!("{name}{SIGNATURES_ENDING}");
    let signatures = file::read_beneath(directory, &signatures, &path.join(&signatures), SIGNATURES);
    Ok(Package::new(bytes, absent_is_none(signatures)?, Form::Folder, &shown))
}

fn component_name(path: &Path) -> Result<String, PackageError> {
    let failed = |error| PackageError::io("list the folder", path, error);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)?.take(ENTRIES_MAX) {
        let name = entry.map_err(failed)?.file_name();
        names.extend(name.into_string().ok().filter(|name| name.ends_with(ENDING)));
    }
    names.sort_unstable();
    match names.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(PackageError::new(
            Kind::Layout,
            format!("the folder '{}' has neither a component (*{ENDING}) nor an OCI layout", path.display()),
        )
        .hint("name the folder that a driver's author hands over, or the component itself")),
        several => Err(PackageError::new(
            Kind::Layout,
            format!("the folder '{}' has several components", path.display()),
        )
        .hint(format!("name one of them: {}", crate::error::shown(&several.join(", "))))),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::judgement::samples;

    #[test]
    fn folder_has_one_component() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(Package::open(place.path(), None).unwrap_err().kind, Kind::Layout);
        std::fs::write(place.path().join("a.wasm"), samples::driver("a", "1")).unwrap();
        std::fs::write(place.path().join("a.wasm.sig"), "text").unwrap();
        std::fs::write(place.path().join("README"), "").unwrap();
        let package = Package::open(place.path(), None).unwrap();
        assert_eq!((package.form, package.signatures.as_deref()), (Form::Folder, Some(&b"text"[..])));
        std::fs::write(place.path().join("b.wasm"), "").unwrap();
        let error = Package::open(place.path(), None).unwrap_err();
        assert!(error.hints[0].contains("a.wasm, b.wasm"), "{error:?}");
    }

    #[test]
    fn links_in_a_folder_are_not_followed() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("target");
        std::fs::write(&target, samples::driver("a", "1")).unwrap();
        let folder = place.path().join("folder");
        std::fs::create_dir(&folder).unwrap();
        symlink(&target, folder.join("a.wasm")).unwrap();
        assert_eq!(Package::open(&folder, None).unwrap_err().kind, Kind::NotAFile);
        std::fs::remove_file(folder.join("a.wasm")).unwrap();
        std::fs::copy(&target, folder.join("a.wasm")).unwrap();
        symlink(&target, folder.join("a.wasm.sig")).unwrap();
        assert_eq!(Package::open(&folder, None).unwrap_err().kind, Kind::NotAFile);
    }
}
