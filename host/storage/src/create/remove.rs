//! Removing a volume.

use std::io;
use std::os::unix::fs::FileTypeExt as _;

use crate::error::{ErrorKind, StorageError};
use crate::root::{PoolRoot, checked};

/// Removes a volume; durable when this returns.
///
/// # Errors
/// [`ErrorKind::NotFound`]; [`ErrorKind::Conflict`] for a directory that is not empty; [`ErrorKind::Unsupported`] for a
/// device; what the operating system says.
pub fn delete_volume(root: &PoolRoot, name: &str) -> Result<(), StorageError> {
    let name = checked(name)?;
    let name = name.as_str();
    let path = root.path_of(name);
    let failed = |error| StorageError::io("remove the volume", path.display(), error).about("volume", name);
    let metadata =
        match std::fs::File::from(root.open(name).map_err(|error| gone(root, name, error))?).metadata() {
            Ok(metadata) => metadata,
            Err(error) => return Err(failed(error)),
        };
    if metadata.is_dir() {
        return root.remove_directory(name).map_err(|error| match error.kind() {
            io::ErrorKind::DirectoryNotEmpty => not_empty(name, &path.display().to_string()),
            _ => failed(error),
        });
    }
    if metadata.file_type().is_block_device() {
        let message = format!("'{name}' is a device; this version does not remove those");
        return Err(StorageError::new(ErrorKind::Unsupported, "volume.delete-device", message)
            .about("volume", name)
            .hint_command(
                "remove it with the tools of what it lies on",
                format!("lvremove {}", hostler_image::shell_quote(&path.display().to_string())),
            ));
    }
    root.remove(name).map_err(failed)
}

fn gone(root: &PoolRoot, name: &str, error: io::Error) -> StorageError {
    if error.kind() == io::ErrorKind::NotFound {
        let message = format!("there is no volume '{name}' in '{}'", root.path().display());
        return StorageError::new(ErrorKind::NotFound, "volume.not-found", message).about("volume", name);
    }
    StorageError::io("open the volume", root.path_of(name).display(), error).about("volume", name)
}

fn not_empty(name: &str, path: &str) -> StorageError {
    let message = format!("the volume '{name}' is a directory that is not empty");
    StorageError::new(ErrorKind::Conflict, "volume.not-empty", message)
        .about("volume", name)
        .hint_command("see what is in it", format!("ls -A {}", hostler_image::shell_quote(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_go_and_what_is_full_or_elsewhere_stays() {
        let directory = tempfile::tempdir().unwrap();
        let pool = directory.path().join("pool");
        std::fs::create_dir_all(pool.join("full/inside")).unwrap();
        std::fs::create_dir(pool.join("empty")).unwrap();
        std::fs::write(pool.join("a"), "").unwrap();
        std::fs::write(directory.path().join("secret"), "").unwrap();
        std::os::unix::fs::symlink("../secret", pool.join("link")).unwrap();
        let root = PoolRoot::open_at(&pool).unwrap();
        delete_volume(&root, "a").unwrap();
        delete_volume(&root, "empty").unwrap();
        for (name, code) in [
            ("a", "volume.not-found"),
            ("full", "volume.not-empty"),
            ("link", "storage.link"),
            ("../secret", "volume.name"),
        ] {
            assert_eq!(delete_volume(&root, name).unwrap_err().code(), code, "{name}");
        }
        assert!(directory.path().join("secret").exists() && pool.join("link").exists());
    }
}
