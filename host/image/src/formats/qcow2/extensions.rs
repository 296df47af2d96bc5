//! Header extensions: a bounded walk that keeps the three that matter and skips the rest.

use super::bitmaps::Directory;
use super::fields::Fields;
use crate::format::Format;
use crate::formats::{MAX_REFERENCE_BYTES, RecordedFormat, luks, text};
use crate::reference::printable;
use crate::windows::{Halt, Windows, malformed};

pub(super) const END: u32 = 0;
pub(super) const BACKING_FORMAT: u32 = 0xE279_2ACA;
const DATA_FILE: u32 = 0x4441_5441;
const LUKS_HEADER: u32 = 0x0537_BE77;
const BITMAPS: u32 = 0x2385_2875;

/// Most extensions a header may have; five kinds exist.
const MAX_EXTENSIONS: usize = 64;
/// Longest name of a format; QEMU itself stores it in 16 bytes with a NUL.
const MAX_FORMAT_NAME_BYTES: usize = 15;
/// Type and length of an extension.
const PREFIX_LENGTH: usize = 8;
const PREFIX_BYTES: u64 = PREFIX_LENGTH as u64; // the same as a position; no way to lose bits
const LUKS_POINTER_BYTES: usize = 16;
const BITMAPS_BYTES: usize = 24;
/// Most bitmaps (the format's limit).
const MAX_BITMAPS: u32 = 65_535;

/// What the extensions say.
#[derive(Default)]
pub(super) struct Extensions {
    pub(super) backing_format: Option<RecordedFormat>,
    pub(super) data_file: Option<String>,
    pub(super) luks_area: Option<luks::Area>,
    pub(super) bitmaps: Option<Directory>,
    /// First byte after the extensions; a backing name may start here.
    pub(super) end: u64,
}

/// One extension's place in the image.
struct Extension {
    kind: u32,
    offset: u64,
    length: usize,
}

impl Extensions {
    /// Walks from the end of the header to the backing name, or to the end of the first cluster.
    pub(super) fn read(image: &Windows, fields: &Fields) -> Result<Self, Halt> {
        let limit = if fields.backing_offset == 0 { fields.cluster_size() } else { fields.backing_offset };
        let limit = limit.min(fields.cluster_size()).min(image.length());
        let mut found = Self { end: u64::from(fields.header_length), ..Self::default() };
        for _ in 0..MAX_EXTENSIONS {
            // Less room than a prefix takes: the area ends without a mark, which the format allows.
            if found.end.saturating_add(PREFIX_BYTES) > limit {
                return Ok(found);
            }
            // Both numbers at once, for each request makes the parser begin again.
            image.bytes(found.end, PREFIX_LENGTH)?;
            let extension = Extension {
                kind: image.u32_be(found.end)?,
                offset: found.end.saturating_add(PREFIX_BYTES),
                length: usize::try_from(image.u32_be(found.end.saturating_add(4))?).unwrap_or(usize::MAX),
            };
            if extension.kind == END {
                found.end = extension.offset;
                return Ok(found);
            }
            let next = extension.next(limit)?;
            found.take(image, &extension)?;
            found.end = next;
        }
        Err(malformed(found.end, format!("more than {MAX_EXTENSIONS} header extensions")))
    }

    fn take(&mut self, image: &Windows, extension: &Extension) -> Result<(), Halt> {
        let twice = match extension.kind {
            BACKING_FORMAT => self.backing_format.replace(extension.backing_format(image)?).is_some(),
            DATA_FILE => self.data_file.replace(extension.data_file(image)?).is_some(),
            LUKS_HEADER => self.luks_area.replace(extension.luks_area(image)?).is_some(),
            BITMAPS => self.bitmaps.replace(extension.bitmaps(image)?).is_some(),
            _ => false,
        };
        if twice {
            // Readers disagree on which of the two counts, so neither does.
            return Err(malformed(
                extension.offset,
                format!("header extension {:#010x} appears twice", extension.kind),
            ));
        }
        Ok(())
    }
}

impl Extension {
    /// Where the next extension starts; payloads are padded to 8 bytes.
    fn next(&self, limit: u64) -> Result<u64, Halt> {
        let length = u64::try_from(self.length).unwrap_or(u64::MAX);
        let end = self.offset.checked_add(length).filter(|end| *end <= limit);
        let Some(padded) = end.and_then(|end| end.checked_next_multiple_of(8)) else {
            return Err(malformed(
                self.offset,
                format!("a header extension of {length} bytes runs past its area"),
            ));
        };
        Ok(padded)
    }

    fn backing_format(&self, image: &Windows) -> Result<RecordedFormat, Halt> {
        if self.length == 0 || self.length > MAX_FORMAT_NAME_BYTES {
            return Err(malformed(self.offset, format!("the backing format name has {} bytes", self.length)));
        }
        let name = text(image.bytes(self.offset, self.length)?, self.offset, "backing format name")?;
        Ok(Format::from_qemu_name(&name)
            .map_or_else(|| RecordedFormat::Unknown(printable(&name)), RecordedFormat::Known))
    }

    fn data_file(&self, image: &Windows) -> Result<String, Halt> {
        if self.length == 0 || self.length > MAX_REFERENCE_BYTES {
            return Err(malformed(self.offset, format!("the data file name has {} bytes", self.length)));
        }
        text(image.bytes(self.offset, self.length)?, self.offset, "data file name")
    }

    fn luks_area(&self, image: &Windows) -> Result<luks::Area, Halt> {
        if self.length != LUKS_POINTER_BYTES {
            return Err(malformed(
                self.offset,
                format!("the pointer to the LUKS header has {} bytes", self.length),
            ));
        }
        let area = luks::Area {
            start: image.u64_be(self.offset)?,
            length: image.u64_be(self.offset.saturating_add(8))?,
        };
        check_inside(image, self.offset, "LUKS header", (area.start, area.length))?;
        Ok(area)
    }

    fn bitmaps(&self, image: &Windows) -> Result<Directory, Halt> {
        if self.length != BITMAPS_BYTES {
            return Err(malformed(
                self.offset,
                format!("the bitmaps extension has {} bytes, not 24", self.length),
            ));
        }
        let count = image.u32_be(self.offset)?;
        if count == 0 || count > MAX_BITMAPS {
            return Err(malformed(self.offset, format!("{count} bitmaps, allowed are 1 to {MAX_BITMAPS}")));
        }
        let directory =
            (image.u64_be(self.offset.saturating_add(16))?, image.u64_be(self.offset.saturating_add(8))?);
        check_inside(image, self.offset, "bitmap directory", directory)?;
        Ok(Directory { bitmaps: count, place: directory.0..directory.0.saturating_add(directory.1) })
    }
}

/// `place` is offset and length.
fn check_inside(image: &Windows, field: u64, what: &str, place: (u64, u64)) -> Result<(), Halt> {
    let (offset, length) = place;
    if length != 0 && offset.checked_add(length).is_some_and(|end| end <= image.length()) {
        return Ok(());
    }
    Err(malformed(
        field,
        format!("the {what} ({length} bytes at byte {offset}) does not lie inside the image"),
    ))
}
