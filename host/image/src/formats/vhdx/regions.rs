//! The table of regions: where block table and metadata lie.

use std::ops::Range;

use super::guid::{Guid, guid};
use super::{checksum, region};
use crate::error::{ErrorKind, ImageError};
use crate::windows::{Halt, Windows, malformed, unsupported};

/// The table that everybody reads, and its copy.
pub(super) const OFFSET: u64 = 192 << 10;
const OFFSET_COPY: u64 = 256 << 10;
const TABLE_BYTES: usize = 64 << 10;
const SIGNATURE: &[u8] = b"regi";
const OFFSET_SUM: usize = 4;
const OFFSET_COUNT: u64 = 8;
const OFFSET_ENTRIES: u64 = 16;
const ENTRY_BYTES: u64 = 32;
/// As many as fit into a table.
const MAX_ENTRIES: u32 = 2047;
const REQUIRED: u32 = 1;

const BLOCKS: Guid = guid(0x2DC2_7766, 0xF623, 0x4200, 0x9D64_115E_9BFD_4A08);
const METADATA: Guid = guid(0x8B7C_A206, 0x4790, 0x4B9A, 0xB8FE_575F_050F_886E);

/// Where the regions lie, in bytes.
#[derive(PartialEq, Eq)]
pub(super) struct Regions {
    pub(super) blocks: Range<u64>,
    pub(super) metadata: Range<u64>,
    others: Vec<Range<u64>>,
    /// The entry of a region that a reader must know, and that is not known here.
    unknown: Option<u64>,
}

impl Regions {
    /// Reads the table at `start`.
    pub(super) fn read(image: &Windows, start: u64) -> Result<Self, Halt> {
        let bytes = image.bytes(start, TABLE_BYTES)?;
        if !bytes.starts_with(SIGNATURE) || !checksum::is_right(bytes, OFFSET_SUM) {
            return Err(malformed(
                start,
                "the table of regions has no right checksum, so the image is damaged",
            ));
        }
        let count = image.u32_le(start.saturating_add(OFFSET_COUNT))?;
        if count > MAX_ENTRIES {
            let message = format!("the table has {count} regions, allowed are {MAX_ENTRIES}");
            return Err(malformed(start.saturating_add(OFFSET_COUNT), message));
        }
        let (mut blocks, mut metadata, mut others, mut unknown) = (None, None, Vec::new(), None);
        for index in 0..u64::from(count) {
            let at = start.saturating_add(OFFSET_ENTRIES + index * ENTRY_BYTES);
            let entry = Entry::read(image, at)?;
            match entry.id {
                BLOCKS => entry.put(&mut blocks, image.length())?,
                METADATA => entry.put(&mut metadata, image.length())?,
                _ => {
                    others.push(entry.place);
                    unknown = unknown.or(entry.required.then_some(at.saturating_sub(start)));
                }
            }
        }
        let (Some(blocks), Some(metadata)) = (blocks, metadata) else {
            return Err(malformed(start, "the table of regions lacks the block table or the metadata"));
        };
        Ok(Self { blocks, metadata, others, unknown })
    }

    /// Every region.
    pub(super) fn all(&self) -> impl Iterator<Item = Range<u64>> {
        [&self.blocks, &self.metadata].into_iter().chain(&self.others).cloned()
    }

    /// What may be new instead of wrong.
    pub(super) fn check_support(&self) -> Result<(), Halt> {
        match self.unknown {
            Some(at) => Err(unsupported(
                OFFSET.saturating_add(at),
                "it has a region that readers must know, and that is not known",
            )),
            None => Ok(()),
        }
    }
}

/// Readers may take either table, so both must say the same.
pub(super) fn check_copy(image: &Windows, regions: &Regions) -> Result<(), Halt> {
    if Regions::read(image, OFFSET_COPY)? == *regions {
        return Ok(());
    }
    Err(malformed(OFFSET_COPY, "the two tables of regions differ"))
}

struct Entry {
    id: Guid,
    place: Range<u64>,
    required: bool,
    at: u64,
}

impl Entry {
    fn read(image: &Windows, at: u64) -> Result<Self, Halt> {
        let length = u64::from(image.u32_le(at.saturating_add(24))?);
        Ok(Self {
            id: image.bytes(at, 16)?.try_into().unwrap_or_default(),
            place: region(image.u64_le(at.saturating_add(16))?, length, at, "a region")?,
            required: image.u32_le(at.saturating_add(28))? & REQUIRED != 0,
            at,
        })
    }

    /// Keeps the place of a region that there is once, inside the image.
    fn put(self, slot: &mut Option<Range<u64>>, length: u64) -> Result<(), Halt> {
        if slot.is_some() {
            return Err(malformed(self.at, "the table of regions has the same region twice"));
        }
        if self.place.end > length {
            let message = format!("a region ends at byte {}, behind the end of the image", self.place.end);
            return Err(ImageError::new(ErrorKind::Truncated, message).at(self.at).into());
        }
        *slot = Some(self.place);
        Ok(())
    }
}
