//! Paths of images: absolute and without `..`, so that comparing them by component means something.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use crate::error::{ErrorKind, ImageError};
use crate::reference::Reference;

/// An absolute path of an image, without `..`. Links in it are not resolved: names in an image are relative
/// to the name that the image was reached by, which is also QEMU's rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImagePath(PathBuf);

impl ImagePath {
    /// Checks a path.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`] when it is relative, names no file, or contains `..` or a NUL.
    pub fn new(path: impl Into<PathBuf>) -> Result<Self, ImageError> {
        let path = path.into();
        let climbs = path.components().any(|part| part == Component::ParentDir);
        let nul = path.as_os_str().as_encoded_bytes().contains(&0);
        if path.is_absolute() && path.file_name().is_some() && !climbs && !nul {
            return Ok(Self(path));
        }
        let message = format!("'{}' is not an absolute path of a file without '..'", path.display());
        Err(ImageError::new(ErrorKind::InvalidRequest, message).hint("give the full path of the image"))
    }

    /// The path.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// The directory that holds the image by name.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.0.parent().unwrap_or_else(|| Path::new("/"))
    }

    /// What `reference` means when it stands in this image; `None` when it leads to no file.
    ///
    /// `..` is taken off by name. That is exact, because such a path is opened without following links.
    pub(crate) fn resolve(&self, reference: &Reference) -> Option<Self> {
        let (mut path, tail) = match reference {
            Reference::Absolute(path) => (PathBuf::from("/"), path),
            Reference::Relative(path) => (self.directory().to_path_buf(), path),
        };
        for part in tail.components() {
            match part {
                Component::Normal(name) => path.push(name),
                Component::ParentDir => {
                    path.pop();
                }
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
        Self::new(path).ok()
    }
}

impl fmt::Display for ImagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_absolute_paths_of_files_are_taken() {
        for bad in ["", "/", "a.img", "./a", "/srv/../etc/passwd", "/srv/a/..", "/a\0b"] {
            assert_eq!(ImagePath::new(bad).unwrap_err().kind(), ErrorKind::InvalidRequest, "{bad:?}");
        }
        assert_eq!(ImagePath::new("/srv/a.img").unwrap().directory(), Path::new("/srv"));
    }

    #[test]
    fn references_resolve_against_the_directory_of_the_naming_image() {
        let naming = ImagePath::new("/srv/vm/top.qcow2").unwrap();
        let relative =
            |text: &str| naming.resolve(&Reference::Relative(text.into())).map(|path| path.to_string());
        assert_eq!(relative("base.img").unwrap(), "/srv/vm/base.img");
        assert_eq!(relative("./sub/../base.img").unwrap(), "/srv/vm/base.img");
        assert_eq!(relative("../base.img").unwrap(), "/srv/base.img");
        assert_eq!(relative("../../../../etc/passwd").unwrap(), "/etc/passwd");
        assert_eq!(relative("../../.."), None);
        let absolute = naming.resolve(&Reference::Absolute("//etc/./passwd".into())).unwrap();
        assert_eq!(absolute.to_string(), "/etc/passwd");
    }
}
