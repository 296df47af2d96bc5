//! The header of a hosted sparse extent (`KDMV`), the kind that can hold a whole disk.

use std::ops::Range;

use super::descriptor::MAX_DESCRIPTOR_BYTES;
use super::{SECTOR, footer, sectors};
use crate::error::{ErrorKind, ImageError};
use crate::windows::{Halt, Windows, malformed, unsupported};

pub(super) const MAGIC: &[u8] = b"KDMV";
pub(super) const HEADER_BYTES: u64 = 512;

const OFFSET_VERSION: u64 = 4;
const OFFSET_FLAGS: u64 = 8;
pub(super) const OFFSET_CAPACITY: u64 = 12;
const OFFSET_GRAIN: u64 = 20;
const OFFSET_DESCRIPTOR: u64 = 28;
const OFFSET_DESCRIPTOR_SIZE: u64 = 36;
const OFFSET_TABLE_ENTRIES: u64 = 44;
const OFFSET_REDUNDANT: u64 = 48;
const OFFSET_DIRECTORY: u64 = 56;
const OFFSET_UNCLEAN: u64 = 72;
const OFFSET_NEWLINES: u64 = 73;
const OFFSET_COMPRESSION: u64 = 77;

const VERSIONS: std::ops::RangeInclusive<u32> = 1..=3;
const FLAG_NEWLINES: u32 = 1 << 0;
const FLAG_REDUNDANT: u32 = 1 << 1;
const FLAG_ZERO_GRAINS: u32 = 1 << 2;
const FLAG_COMPRESSED: u32 = 1 << 16;
/// Different ends of lines, damaged by a transfer that took the file for text.
const NEWLINES: &[u8] = b"\n \r\n";
/// The directory is where the footer says.
pub(super) const AT_END: u64 = u64::MAX;

/// What QEMU accepts: grains of up to 1 GiB, tables of up to 512 entries, a directory of up to 32 MiB.
const MAX_GRAIN: u64 = 0x20_0000;
const MAX_TABLE_ENTRIES: u32 = 512;
const MAX_DIRECTORY_BYTES: u64 = 32 << 20;
const ENTRY_BYTES: u64 = 4;

const COMPRESSION_NONE: u16 = 0;
const COMPRESSION_DEFLATE: u16 = 1;

/// The fields; sizes and places are sectors.
#[derive(PartialEq, Eq)]
pub(super) struct Sparse {
    pub(super) version: u32,
    flags: u32,
    pub(super) capacity: u64,
    pub(super) grain: u64,
    /// Where the descriptor lies, in bytes; an extent of a disk in several files has none.
    pub(super) descriptor: Option<Range<u64>>,
    pub(super) table_entries: u32,
    redundant: u64,
    /// Where the directory is, by the footer where there is one.
    pub(super) directory: u64,
    pub(super) unclean: bool,
    compression: u16,
}

impl Sparse {
    /// Reads the header; nothing if the image is not a hosted sparse extent.
    pub(super) fn read(image: &Windows) -> Result<Option<Self>, Halt> {
        if image.length() < 4 || image.bytes(0, MAGIC.len())? != MAGIC {
            return Ok(None);
        }
        let mut sparse = Self::at(image, 0)?;
        if sparse.directory == AT_END {
            sparse.directory = footer::directory(image, &sparse)?;
        }
        Ok(Some(sparse))
    }

    /// The header at a position, which is the first one or the copy in the footer.
    pub(super) fn at(image: &Windows, start: u64) -> Result<Self, Halt> {
        let place = |offset: u64| start.saturating_add(offset);
        let version = image.u32_le(place(OFFSET_VERSION))?;
        if !VERSIONS.contains(&version) {
            let refusal = if version == 0 { malformed } else { unsupported };
            return Err(refusal(
                place(OFFSET_VERSION),
                format!("version {version} of the extent is not known"),
            ));
        }
        let flags = image.u32_le(place(OFFSET_FLAGS))?;
        if flags & FLAG_NEWLINES != 0 && image.bytes(place(OFFSET_NEWLINES), NEWLINES.len())? != NEWLINES {
            let message = "its ends of lines were changed, as by a transfer of text, so the disk is damaged";
            return Err(malformed(place(OFFSET_NEWLINES), message));
        }
        Ok(Self {
            version,
            flags,
            capacity: image.u64_le(place(OFFSET_CAPACITY))?,
            grain: image.u64_le(place(OFFSET_GRAIN))?,
            descriptor: descriptor(image, start)?,
            table_entries: image.u32_le(place(OFFSET_TABLE_ENTRIES))?,
            redundant: image.u64_le(place(OFFSET_REDUNDANT))?,
            directory: image.u64_le(place(OFFSET_DIRECTORY))?,
            unclean: image.u8(place(OFFSET_UNCLEAN))? != 0,
            compression: image.u16_le(place(OFFSET_COMPRESSION))?,
        })
    }

    /// Whether a footer says the same as the header that refers to it, but for where the directory is.
    pub(super) fn repeats(self, header: &Self) -> bool {
        Self { directory: header.directory, unclean: header.unclean, ..self } == *header
    }

    pub(super) fn virtual_size(&self) -> u64 {
        self.capacity.saturating_mul(SECTOR)
    }

    /// Entries of the directory, each for one table.
    pub(super) fn directory_entries(&self) -> u64 {
        let covered = self.grain.saturating_mul(u64::from(self.table_entries));
        self.capacity.div_ceil(covered.max(1))
    }

    /// Where the directory lies, in bytes.
    pub(super) fn directory_area(&self) -> Range<u64> {
        area(self.directory, self.directory_entries())
    }

    /// Where its copy lies, in bytes, if there is one.
    pub(super) fn redundant_area(&self) -> Option<Range<u64>> {
        (self.flags & FLAG_REDUNDANT != 0).then(|| area(self.redundant, self.directory_entries()))
    }

    /// Bytes of one table.
    pub(super) fn table_bytes(&self) -> u64 {
        u64::from(self.table_entries).saturating_mul(ENTRY_BYTES)
    }

    /// Whether an entry of 1 in a table means zeros instead of a place.
    pub(super) fn has_zero_grains(&self) -> bool {
        self.flags & FLAG_ZERO_GRAINS != 0
    }

    /// Checks what an extent with data in it must have.
    pub(super) fn check(&self, image: &Windows) -> Result<(), Halt> {
        sectors(self.capacity, OFFSET_CAPACITY, "its capacity")?;
        if self.grain > MAX_GRAIN || !self.grain.is_power_of_two() {
            let message =
                format!("a grain is {} sectors, allowed are powers of two up to {MAX_GRAIN}", self.grain);
            return Err(malformed(OFFSET_GRAIN, message));
        }
        if self.table_entries == 0 || self.table_entries > MAX_TABLE_ENTRIES {
            let message =
                format!("a table has {} entries, allowed are 1 to {MAX_TABLE_ENTRIES}", self.table_entries);
            return Err(malformed(OFFSET_TABLE_ENTRIES, message));
        }
        let redundant = self.redundant_area().map(|area| (area, OFFSET_REDUNDANT));
        for (area, field) in [(self.directory_area(), OFFSET_DIRECTORY)].into_iter().chain(redundant) {
            self.check_directory(&area, field, image.length())?;
        }
        if (self.flags & FLAG_COMPRESSED != 0) != (self.compression != COMPRESSION_NONE) {
            let message = "the algorithm of compression contradicts the flag for it";
            return Err(malformed(OFFSET_COMPRESSION, message));
        }
        Ok(())
    }

    fn check_directory(&self, area: &Range<u64>, field: u64, length: u64) -> Result<(), Halt> {
        let bytes = self.directory_entries().saturating_mul(ENTRY_BYTES);
        let message = format!("the grain directory ({bytes} bytes at byte {})", area.start);
        if area.start < HEADER_BYTES || bytes > MAX_DIRECTORY_BYTES || area.end == u64::MAX {
            return Err(malformed(field, format!("{message} is where none can be")));
        }
        if area.end > length {
            let message = format!("{message} runs past the end of the image, {length} bytes");
            return Err(ImageError::new(ErrorKind::Truncated, message).at(field).into());
        }
        Ok(())
    }

    /// What may be new instead of wrong.
    pub(super) fn check_support(&self) -> Result<(), Halt> {
        if matches!(self.compression, COMPRESSION_NONE | COMPRESSION_DEFLATE) {
            return Ok(());
        }
        Err(unsupported(
            OFFSET_COMPRESSION,
            format!("compression algorithm {} is not known", self.compression),
        ))
    }

    /// Some readers take the descriptor from the second sector, whatever the header says; so does everybody who
    /// writes one, and an image from elsewhere has one.
    pub(super) fn check_place_of_descriptor(&self) -> Result<(), Halt> {
        match &self.descriptor {
            Some(place) if place.start == HEADER_BYTES => Ok(()),
            Some(place) => Err(malformed(
                OFFSET_DESCRIPTOR,
                format!(
                    "the descriptor is at byte {}, but some readers look for it at {HEADER_BYTES}",
                    place.start
                ),
            )),
            None => Err(malformed(
                OFFSET_DESCRIPTOR,
                "it has no descriptor, so it is a piece of a disk in several files",
            )),
        }
    }
}

/// Where the descriptor lies by the header at `start`.
fn descriptor(image: &Windows, start: u64) -> Result<Option<Range<u64>>, Halt> {
    let field = start.saturating_add(OFFSET_DESCRIPTOR);
    let count = image.u64_le(start.saturating_add(OFFSET_DESCRIPTOR_SIZE))?;
    let begin = sectors(image.u64_le(field)?, field, "the place of the descriptor")?;
    let size = sectors(count, field, "the size of the descriptor")?;
    if begin == 0 && size == 0 {
        return Ok(None);
    }
    let end = begin.checked_add(size);
    match end {
        Some(end) if begin >= HEADER_BYTES && size > 0 && size <= MAX_DESCRIPTOR_BYTES => {
            Ok(Some(begin..end))
        }
        _ => Err(malformed(
            field,
            format!(
                "the descriptor ({size} bytes at byte {begin}) is where none can be, or is larger than {MAX_DESCRIPTOR_BYTES} bytes"
            ),
        )),
    }
}

/// A directory at a sector; up to the last byte there is when it would wrap.
fn area(sector: u64, entries: u64) -> Range<u64> {
    let start = sector.saturating_mul(SECTOR);
    start..start.saturating_add(entries.saturating_mul(ENTRY_BYTES))
}
