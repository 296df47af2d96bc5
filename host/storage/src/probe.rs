//! One volume, opened and looked at: a stat, one read, and what its header says.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use hostler_domain::volume::VolumeType;
use hostler_image::{
    ByteRange, Format, Header, ImageError, Inspection, Progress, RECOGNISE_BYTES, Recognition, read_range,
    recognise,
};
use rustix::fs::{AtFlags, FileType, Statx, StatxFlags};

use crate::facts::VolumeFacts;
use crate::identity::FileIdentity;
use crate::root::PoolRoot;

/// Bytes read of each image at once: the page that holds nearly every header with its names.
pub(crate) const FIRST_READ: usize = 4096;
/// Unit of `st_blocks`, in bytes.
const BLOCK_BYTES: u64 = 512;
/// What a LUKS container begins with.
const LUKS_MAGIC: &[u8] = b"LUKS\xba\xbe";

const _: () = assert!(RECOGNISE_BYTES <= FIRST_READ, "one read has to do for telling the format");

/// A buffer for the first read, used again for each volume.
pub(crate) struct Page(Box<[u8; FIRST_READ]>);

impl Page {
    pub(crate) fn new() -> Self {
        Self(Box::new([0; FIRST_READ]))
    }
}

/// What the named entry of a pool's directory is; nothing for what is no volume (a pipe, a link, a socket).
///
/// # Errors
/// What the operating system says.
pub fn probe(root: &PoolRoot, name: &str) -> io::Result<Option<VolumeFacts>> {
    probe_into(root, name, &mut Page::new())
}

/// As [`probe`], with a buffer that is used again.
pub(crate) fn probe_into(root: &PoolRoot, name: &str, page: &mut Page) -> io::Result<Option<VolumeFacts>> {
    let file = File::from(root.open(name)?);
    let stat = stat(&file)?;
    match FileType::from_raw_mode(stat.stx_mode.into()) {
        FileType::RegularFile => image(root, name, &file, &stat, page).map(Some),
        FileType::BlockDevice => device(root, name, &file, page).map(Some),
        FileType::Directory => Ok(Some(directory(root, name))),
        _ => Ok(None),
    }
}

/// A directory; one that holds the files of a ploop container is that container.
fn directory(root: &PoolRoot, name: &str) -> VolumeFacts {
    let has = |inside: &str| root.has(&format!("{name}/{inside}"));
    let kind = if has("root.hds") && has("DiskDescriptor.xml") { VolumeType::Ploop } else { VolumeType::Dir };
    VolumeFacts::directory(name.to_owned(), kind, root.path_of(name))
}

/// Everything about an open file that is told of it, in one call.
fn stat(file: &File) -> io::Result<Statx> {
    let asked = StatxFlags::BASIC_STATS | FileIdentity::ASKED;
    Ok(rustix::fs::statx(file, "", AtFlags::EMPTY_PATH, asked)?)
}

fn image(root: &PoolRoot, name: &str, file: &File, stat: &Statx, page: &mut Page) -> io::Result<VolumeFacts> {
    let length = stat.stx_size;
    let allocated = stat.stx_blocks.saturating_mul(BLOCK_BYTES);
    let facts = VolumeFacts::sized(name.to_owned(), VolumeType::File, root.path_of(name), allocated, length);
    let facts = VolumeFacts { identity: Some(FileIdentity::from(stat)), ..facts };
    looked_at(facts, file, length, page)
}

fn device(root: &PoolRoot, name: &str, file: &File, page: &mut Page) -> io::Result<VolumeFacts> {
    let size = rustix::fs::seek(file, rustix::fs::SeekFrom::End(0))?;
    let facts = VolumeFacts::sized(name.to_owned(), VolumeType::Block, root.path_of(name), size, size);
    looked_at(facts, file, size, page)
}

/// Adds what the header says. A header that cannot be read is told in the facts: one bad volume fails no refresh.
pub(crate) fn looked_at(
    facts: VolumeFacts,
    file: &File,
    length: u64,
    page: &mut Page,
) -> io::Result<VolumeFacts> {
    let buffer = page.0.as_mut_slice();
    let count = file.read_at(buffer, 0)?;
    let start = buffer.get(..count).unwrap_or_default();
    let (format, inspection) = if start.starts_with(LUKS_MAGIC) {
        (Format::Raw, Inspection::luks(length))
    } else {
        match recognise(start) {
            None => return Ok(facts),
            Some(format) => (format, Inspection::new(format, length)),
        }
    };
    Ok(match header(inspection.facts_only(), file, start)? {
        Ok(header) => facts.with_header(format, &header),
        Err(error) => VolumeFacts { found_format: Some(format), problem: Some(error.to_string()), ..facts },
    })
}

/// Drives the parser from the bytes at hand; reads more only where it asks for what lies beyond them.
pub(crate) fn header(
    mut inspection: Inspection,
    file: &File,
    start: &[u8],
) -> io::Result<Result<Box<Header>, ImageError>> {
    loop {
        match inspection.advance() {
            Ok(Progress::Done(header)) => return Ok(Ok(header)),
            Err(error) => return Ok(Err(error)),
            Ok(Progress::Need(range)) => {
                let bytes = match held(start, range) {
                    Some(held) => held.to_vec(),
                    None => read(file, range)?,
                };
                if let Err(error) = inspection.supply(bytes) {
                    return Ok(Err(error));
                }
            }
        }
    }
}

/// What the content of a whole file looks like, its trailer included; nothing for what may be raw data.
pub(crate) fn looks_like(file: &File, length: u64) -> io::Result<Option<Format>> {
    let mut recognition = Recognition::new(length);
    loop {
        match recognition.advance().map_err(io::Error::other)? {
            Progress::Done(format) => return Ok(*format),
            Progress::Need(range) => recognition.supply(read(file, range)?).map_err(io::Error::other)?,
        }
    }
}

fn held(start: &[u8], range: ByteRange) -> Option<&[u8]> {
    let offset = usize::try_from(range.offset).ok()?;
    start.get(offset..offset.checked_add(range.length)?)
}

fn read(file: &File, range: ByteRange) -> io::Result<Vec<u8>> {
    read_range(range, |offset, buffer| file.read_at(buffer, offset))
}
