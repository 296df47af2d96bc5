//! The facts about an open image, taken from the open file itself.

use std::fs::{File, FileType};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};

use hostler_image::{FileKind, Identity, Opened};
use rustix::fs::SeekFrom;

/// Unit of `st_blocks`, in bytes.
const BLOCK_BYTES: u64 = 512;

/// What a walk is told about an open file.
///
/// # Errors
/// What the operating system says.
pub fn opened_image(file: File) -> io::Result<Opened<File>> {
    let metadata = file.metadata()?;
    let kind = kind_of_file(&metadata.file_type());
    let (identity, length) = if kind == FileKind::BlockDevice {
        (Identity::BlockDevice { number: metadata.rdev() }, rustix::fs::seek(&file, SeekFrom::End(0))?)
    } else {
        (Identity::File { device: metadata.dev(), inode: metadata.ino() }, metadata.len())
    };
    let physical_bytes = metadata.blocks().saturating_mul(BLOCK_BYTES);
    Ok(Opened { file, identity, kind, length, physical_bytes })
}

/// What kind of file it is.
#[must_use]
pub fn kind_of_file(kind: &FileType) -> FileKind {
    match kind {
        regular if regular.is_file() => FileKind::Regular,
        device if device.is_block_device() => FileKind::BlockDevice,
        directory if directory.is_dir() => FileKind::Directory,
        _ => FileKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_those_of_the_open_file() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("a"), [1; 5000]).unwrap();
        let opened = opened_image(File::open(home.path().join("a")).unwrap()).unwrap();
        assert_eq!((opened.kind, opened.length), (FileKind::Regular, 5000));
        assert!(opened.physical_bytes >= 512 && matches!(opened.identity, Identity::File { .. }));
        assert_eq!(opened_image(File::open(home.path()).unwrap()).unwrap().kind, FileKind::Directory);
        assert_eq!(opened_image(File::open("/dev/null").unwrap()).unwrap().kind, FileKind::Other);
    }
}
