//! One image by itself: what its header says, and whether its tables are sound.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use hostler_image::{
    ByteRange, ErrorKind, Format, Header, ImageError, Inspection, Opened, Progress, read_range, usable,
};

use super::{FileFacts, file_facts, format_named, not_read, open_image};
use crate::chain::{self, ImageFile};
use crate::roots::Roots;

/// What one image says about itself.
#[derive(Debug)]
pub struct ImageFacts {
    /// The format that its header was read as.
    pub format: Format,
    /// Whether that was recognised by content, because none was declared.
    pub recognised: bool,
    /// What the header says.
    pub header: Header,
    /// Length of the file in bytes.
    pub length: u64,
    /// What it occupies, in bytes.
    pub physical_bytes: u64,
    /// Its owner, and what its first bytes look like.
    pub file: FileFacts,
    /// Why a start would not take this image, whatever is below it.
    pub refusal: Option<ImageError>,
}

/// Reads the header of one image; what it names is not opened. Blocks on small reads.
///
/// # Errors
/// What is wrong with the file or its header.
pub fn inspect_header(path: &Path, format: Option<&str>, roots: &Roots) -> Result<ImageFacts, ImageError> {
    let opened = open_image(path, roots)?;
    let facts = file_facts(opened.file.file()).map_err(|error| not_read(path, error))?;
    let (format, recognised) = match format {
        Some(name) => (format_named(name)?, false),
        None => (facts.content.unwrap_or(Format::Raw), true),
    };
    let inspection = Inspection::new(format, opened.length).facts_only();
    let header = drive(inspection, &opened).map_err(|error| error.in_layer(0, path))?;
    let refusal = usable(format, &header).err();
    let (length, physical_bytes) = (opened.length, opened.physical_bytes);
    Ok(ImageFacts { format, recognised, header, length, physical_bytes, file: facts, refusal })
}

/// Looks behind the header of one image, at the tables that a hypervisor will follow.
///
/// # Errors
/// What is wrong with the file, its header or its tables.
pub fn screen_image(path: &Path, format: &str, roots: &Roots) -> Result<(), ImageError> {
    let opened = open_image(path, roots)?;
    let inspection = Inspection::new(format_named(format)?, opened.length).facts_only().screened();
    drive(inspection, &opened).map(drop).map_err(|error| error.in_layer(0, path))
}

/// The header of an open image.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn header_of(file: File, format: Format) -> Result<Header, ImageError> {
    let opened = chain::opened(file)
        .map_err(|error| ImageError::new(ErrorKind::Io, "its length cannot be told").caused_by(error))?;
    drive(Inspection::new(format, opened.length).facts_only(), &opened)
}

fn drive(mut inspection: Inspection, image: &Opened<ImageFile>) -> Result<Header, ImageError> {
    loop {
        match inspection.advance()? {
            Progress::Done(header) => return Ok(*header),
            Progress::Need(range) => inspection.supply(read(image.file.file(), range)?)?,
        }
    }
}

/// The bytes of a range; fewer where the file ends before it does.
///
/// # Errors
/// What the operating system says.
pub(super) fn read(file: &File, range: ByteRange) -> Result<Vec<u8>, ImageError> {
    read_range(range, |offset, buffer| file.read_at(buffer, offset)).map_err(|error| {
        ImageError::new(ErrorKind::Io, "reading it failed").at(range.offset).caused_by(error)
    })
}
