//! Bytes into a volume and out of it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt as _, FileTypeExt as _};

use hostler_domain::Bytes;
use hostler_image::{Format, Inspection};

use super::make::fraction;
use super::request::SECTOR;
use super::{Draft, Progress};
use crate::error::{ErrorKind, StorageError};
use crate::probe;
use crate::root::PoolRoot;

/// Bytes that are moved at once.
const CHUNK: usize = 1 << 20;

/// Bytes that are looked at for zeros at once: a few blocks of a file system.
const BLOCK: usize = 64 << 10;

/// Part of a volume, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Where it begins.
    pub offset: u64,
    /// How long it is; up to the end when not given.
    pub length: Option<u64>,
}

/// What was moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Bytes of it.
    pub bytes: u64,
}

/// What is known about a stream before it comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Incoming {
    /// How many bytes will come, where that is known.
    pub expected: Option<u64>,
    /// Most bytes that a guest may see of what comes; any number when not given.
    pub most: Option<u64>,
}

/// Replaces the content of a file volume: written to a draft, checked against the format that the volume is declared
/// to have, and put in its place at once. A raw volume keeps its size where less comes, with zeros at its end.
///
/// # Errors
/// [`ErrorKind::Denied`] when what comes is no image of that format, or for a raw volume looks like one of another; [`ErrorKind::Full`]; what reading or writing says.
/// The volume is as it was then.
pub fn upload(
    draft: Draft<'_>,
    name: &str,
    format: Format,
    from: &mut dyn Read,
    incoming: Incoming,
    progress: &mut dyn FnMut(f64),
) -> Result<Transfer, StorageError> {
    let old = draft.root().open_volume(name, true)?;
    let bytes =
        pump(from, &mut Skipping { file: draft.file(), offset: 0 }, None, incoming.expected, progress)
            .and_then(|bytes| draft.file().set_len(bytes).map(|()| bytes))
            .map_err(|error| failed("write", name, error).in_a_draft())?;
    if format == Format::Raw {
        require_raw(draft.file(), name, bytes)?;
        let sectors = bytes.div_ceil(SECTOR).saturating_mul(SECTOR);
        let before = length(&old).map_err(|error| failed("measure", name, error))?;
        draft.file().set_len(sectors.max(before)).map_err(|error| failed("write", name, error))?;
    }
    require_at_most(incoming.most, check(draft.file(), name, format)?, name)?;
    draft.give_those_of(&old)?;
    draft.finish()?;
    draft.replace(name)?;
    Ok(Transfer { bytes })
}

/// Refuses for a raw volume what looks like an image of a format: a guest would be given its header for a disk. What
/// looks like a disc is its own content.
fn require_raw(file: &File, name: &str, bytes: u64) -> Result<(), StorageError> {
    let found = probe::looks_like(file, bytes).map_err(|error| failed("read", name, error))?;
    let Some(format) = found.filter(|format| !matches!(format, Format::Raw | Format::Iso)) else {
        return Ok(());
    };
    let message =
        format!("the volume '{name}' is declared to be raw, and what was sent looks like '{format}'");
    Err(StorageError::new(ErrorKind::Denied, "volume.format-differs", message)
        .about("volume", name)
        .hint(format!("make a volume of format '{format}' and upload it into that"))
        .hint(
            "if a guest is to find these bytes on its disk as they are, --offset 0 writes them unlooked at",
        ))
}

/// Refuses what a guest would see more of than is allowed, whatever length the image itself has.
fn require_at_most(most: Option<u64>, virtual_size: u64, name: &str) -> Result<(), StorageError> {
    let Some(most) = most.filter(|most| virtual_size > *most) else { return Ok(()) };
    let message = format!(
        "what was sent for the volume '{name}' has {}, and there is room for {}",
        Bytes(virtual_size),
        Bytes(most)
    );
    Err(StorageError::new(ErrorKind::Denied, "volume.too-large", message)
        .about("volume", name)
        .hint("the volume is as it was; send a smaller image, or make room first"))
}

/// An image that nobody could start is not taken. What a guest would see of it, in bytes.
fn check(file: &File, name: &str, format: Format) -> Result<u64, StorageError> {
    let length = file.metadata().map_err(|error| failed("look at", name, error))?.len();
    match probe::header(Inspection::new(format, length), file, &[])
        .map_err(|error| failed("read", name, error))?
    {
        Ok(header) => Ok(header.virtual_size),
        Err(error) => Err(StorageError::image(error, name)
            .hint(format!("the volume '{name}' is declared to be '{format}', and what was sent is not"))),
    }
}

/// Overwrites part of a volume in its place. What is written before a failure stays.
///
/// # Errors
/// [`ErrorKind::Invalid`] when it would go beyond the end of a device, or less comes than the part has; what reading or writing says.
pub fn upload_part(
    root: &PoolRoot,
    name: &str,
    window: Window,
    from: &mut dyn Read,
    progress: &mut dyn FnMut(f64),
) -> Result<Transfer, StorageError> {
    let file = root.open_volume(name, true)?;
    let mut target = At { file: &file, offset: window.offset };
    let bytes = pump(from, &mut target, window.length, window.length, progress)
        .map_err(|error| failed("write", name, error))?;
    file.sync_all().map_err(|error| failed("make durable", name, error))?;
    match window.length {
        Some(wanted) if bytes < wanted => {
            let message = format!("{wanted} bytes were to come for the volume '{name}', and {bytes} came");
            Err(StorageError::new(ErrorKind::Invalid, "volume.input-short", message)
                .about("volume", name)
                .hint(format!("those {bytes} bytes are written; send all of it again, or ask for less")))
        }
        _ => Ok(Transfer { bytes }),
    }
}

/// Reads a volume, or part of it.
///
/// # Errors
/// [`ErrorKind::Invalid`] when the part begins behind the end; [`ErrorKind::Conflict`] when the volume shrinks meanwhile; what reading or writing says.
pub fn download(
    root: &PoolRoot,
    name: &str,
    window: Window,
    to: &mut dyn Write,
    progress: &mut dyn FnMut(f64),
) -> Result<Transfer, StorageError> {
    let file = root.open_volume(name, false)?;
    let length = length(&file).map_err(|error| failed("measure", name, error))?;
    if window.offset > length {
        let message =
            format!("the volume '{name}' has {length} bytes, and the part begins at {}", window.offset);
        return Err(StorageError::new(ErrorKind::Invalid, "volume.window", message).about("volume", name));
    }
    let left = length - window.offset;
    let wanted = window.length.map_or(left, |wanted| wanted.min(left));
    let mut source = At { file: &file, offset: window.offset };
    let bytes = pump(&mut source, to, Some(wanted), Some(wanted), progress)
        .map_err(|error| failed("read", name, error))?;
    require_all(name, bytes, wanted)
}

/// A file that shrinks while it is read is not all there.
fn require_all(name: &str, bytes: u64, wanted: u64) -> Result<Transfer, StorageError> {
    if bytes >= wanted {
        return Ok(Transfer { bytes });
    }
    let message = format!("the volume '{name}' shrank while it was read: {bytes} of {wanted} bytes came");
    Err(StorageError::new(ErrorKind::Conflict, "volume.shrank", message)
        .about("volume", name)
        .hint("end what writes to it, and download it again"))
}

fn length(file: &File) -> io::Result<u64> {
    let metadata = file.metadata()?;
    if metadata.file_type().is_block_device() {
        return Ok(rustix::fs::seek(file, rustix::fs::SeekFrom::End(0))?);
    }
    Ok(metadata.len())
}

fn failed(what: &str, name: &str, error: io::Error) -> StorageError {
    StorageError::io(&format!("{what} the volume"), name, error).about("volume", name)
}

/// Moves bytes, at most `limit`, until there are no more.
fn pump(
    from: &mut dyn Read,
    to: &mut dyn Write,
    limit: Option<u64>,
    expected: Option<u64>,
    progress: Progress<'_>,
) -> io::Result<u64> {
    let mut chunk = vec![0; CHUNK];
    let mut moved: u64 = 0;
    loop {
        let left = limit.map_or(u64::MAX, |limit| limit.saturating_sub(moved));
        let most = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
        let Some(room) = chunk.get_mut(..most).filter(|room| !room.is_empty()) else { break };
        let count = match from.read(room) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        to.write_all(chunk.get(..count).unwrap_or_default())?;
        moved = moved.saturating_add(u64::try_from(count).unwrap_or(0));
        if let Some(expected) = expected {
            progress(fraction(moved.min(expected), expected));
        }
    }
    to.flush()?;
    Ok(moved)
}

/// A new file at a moving place: zeros need not be written there, and take no room.
struct Skipping<'a> {
    file: &'a File,
    offset: u64,
}

impl Write for Skipping<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let block = bytes.get(..bytes.len().min(BLOCK)).unwrap_or_default();
        if block.iter().any(|byte| *byte != 0) {
            self.file.write_all_at(block, self.offset)?;
        }
        self.offset = self.offset.saturating_add(u64::try_from(block.len()).unwrap_or(0));
        Ok(block.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file at a moving place, without the position that descriptors share.
struct At<'a> {
    file: &'a File,
    offset: u64,
}

impl At<'_> {
    fn advance(&mut self, count: usize) {
        self.offset = self.offset.saturating_add(u64::try_from(count).unwrap_or(0));
    }
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.offset)?;
        self.advance(count);
        Ok(count)
    }
}

impl Write for At<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write_at(bytes, self.offset)?;
        self.advance(count);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    #[test]
    fn zeros_in_a_new_file_take_no_room() {
        let file = tempfile::tempfile().unwrap();
        let mut skipping = Skipping { file: &file, offset: 0 };
        let content = [vec![0; 4 << 20], b"x".to_vec(), vec![0; 4 << 20]].concat();
        skipping.write_all(&content).unwrap();
        file.set_len(skipping.offset).unwrap();
        let mut read = vec![1; content.len()];
        file.read_exact_at(&mut read, 0).unwrap();
        assert!(read == content && file.metadata().unwrap().blocks() * 512 < 1 << 20);
    }

    fn pool() -> (tempfile::TempDir, PoolRoot) {
        let pool = tempfile::tempdir().unwrap();
        std::fs::write(pool.path().join("a"), [7; 2000]).unwrap();
        std::fs::set_permissions(pool.path().join("a"), std::fs::Permissions::from_mode(0o640)).unwrap();
        let root = PoolRoot::open_at(pool.path()).unwrap();
        (pool, root)
    }

    fn whole(root: &PoolRoot, format: Format, mut from: impl Read) -> Result<Transfer, StorageError> {
        upload(
            Draft::begin(root, 3)?,
            "a",
            format,
            &mut from,
            Incoming { expected: Some(1), most: None },
            &mut |_| {},
        )
    }

    #[test]
    fn upload_replaces_at_once_and_keeps_the_permissions() {
        let (pool, root) = pool();
        let open = File::open(pool.path().join("a")).unwrap();
        let sent = vec![3; 2 << 20];
        assert_eq!(whole(&root, Format::Raw, sent.as_slice()).unwrap().bytes, sent.len() as u64);
        assert_eq!(std::fs::read(pool.path().join("a")).unwrap(), sent);
        assert_eq!(open.metadata().unwrap().len(), 2000, "who had it open still has the old one");
        assert_eq!(std::fs::metadata(pool.path().join("a")).unwrap().permissions().mode() & 0o7777, 0o640);
    }

    #[test]
    fn raw_volume_keeps_its_size_in_whole_sectors() {
        let (pool, root) = pool();
        let read = || std::fs::read(pool.path().join("a")).unwrap();
        whole(&root, Format::Raw, &[1; 5][..]).unwrap();
        assert_eq!((read().len(), read()[4], read()[5]), (2000, 1, 0));
        whole(&root, Format::Raw, &[2; 2049][..]).unwrap();
        assert_eq!((read().len(), read()[2048], read()[2049]), (2560, 2, 0));
    }

    #[test]
    fn raw_volume_takes_no_image_of_another_format() {
        let (pool, root) = pool();
        let image = |magic: &[u8], at: usize, length: usize| {
            let mut bytes = vec![0; length];
            bytes[at..at + magic.len()].copy_from_slice(magic);
            bytes
        };
        for bytes in [image(b"QFI\xfb", 0, 4096), image(b"conectix", 1536, 2048), image(b"KDMV", 0, 512)] {
            let refused = whole(&root, Format::Raw, bytes.as_slice()).unwrap_err();
            assert_eq!((refused.kind, refused.code()), (ErrorKind::Denied, "volume.format-differs"));
        }
        assert_eq!(std::fs::read(pool.path().join("a")).unwrap(), [7; 2000]);
        whole(&root, Format::Raw, image(b"CD001", 32_769, 40_960).as_slice()).unwrap();
        let as_it_is = Window { offset: 0, length: None };
        upload_part(&root, "a", as_it_is, &mut &b"QFI\xfb"[..], &mut |_| {}).unwrap();
    }

    #[test]
    fn what_is_shorter_than_asked_for_is_no_success() {
        struct Shrinking<'a>(&'a std::path::Path);
        impl Write for Shrinking<'_> {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                File::options().write(true).open(self.0)?.set_len(0)?;
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (pool, root) = pool();
        let window = Window { offset: 0, length: Some(6) };
        let short = upload_part(&root, "a", window, &mut &[1; 5][..], &mut |_| {}).unwrap_err();
        assert_eq!((short.kind, short.code()), (ErrorKind::Invalid, "volume.input-short"));
        let path = pool.path().join("a");
        File::options().write(true).open(&path).unwrap().set_len(3 << 20).unwrap();
        let shrank = download(&root, "a", Window::default(), &mut Shrinking(&path), &mut |_| {}).unwrap_err();
        assert_eq!((shrank.kind, shrank.code()), (ErrorKind::Conflict, "volume.shrank"));
    }

    #[test]
    fn upload_that_fails_leaves_the_volume_as_it_was() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the line is cut"))
            }
        }
        let (pool, root) = pool();
        let cut = whole(&root, Format::Raw, (&[1; 100][..]).chain(Broken)).unwrap_err();
        assert_eq!(cut.kind, ErrorKind::Io);
        let wrong = whole(&root, Format::Qcow2, &[1; 4096][..]).unwrap_err();
        assert_eq!((wrong.kind, wrong.code()), (ErrorKind::Denied, "image.malformed"));
        assert_eq!(std::fs::read(pool.path().join("a")).unwrap(), [7; 2000]);
        assert_eq!(std::fs::read_dir(pool.path()).unwrap().count(), 1);
    }

    #[test]
    fn parts_are_written_and_read_where_they_are() {
        let (pool, root) = pool();
        let window = Window { offset: 10, length: Some(3) };
        upload_part(&root, "a", window, &mut &[1, 2, 3, 4, 5][..], &mut |_| {}).unwrap();
        let mut out = Vec::new();
        let window = Window { offset: 9, length: Some(5) };
        assert_eq!(download(&root, "a", window, &mut out, &mut |_| {}).unwrap().bytes, 5);
        assert_eq!(out, [7, 1, 2, 3, 7]);
        out.clear();
        let window = Window { offset: 1999, length: Some(u64::MAX) };
        download(&root, "a", window, &mut out, &mut |_| {}).unwrap();
        assert_eq!(out, [7]);
        let behind = Window { offset: 2001, length: None };
        assert_eq!(download(&root, "a", behind, &mut out, &mut |_| {}).unwrap_err().code(), "volume.window");
        assert_eq!(std::fs::metadata(pool.path().join("a")).unwrap().len(), 2000);
    }
}
