//! The header of the tables of a VHD that grows, and the parent that it may name.

use std::ops::Range;

use super::footer::{FOOTER_BYTES, Footer};
use super::{SECTOR, check_sum};
use crate::error::{ErrorKind, ImageError};
use crate::formats::utf16;
use crate::windows::{Halt, Windows, malformed, unsupported};

const MAGIC: &[u8] = b"cxsparse";
const HEADER_BYTES: u64 = 1024;

const OFFSET_TABLE: u64 = 16;
const OFFSET_VERSION: u64 = 24;
const OFFSET_ENTRIES: u64 = 28;
const OFFSET_BLOCK: u64 = 32;
const OFFSET_SUM: usize = 36;
const OFFSET_PARENT: u64 = 64;
const PARENT_BYTES: usize = 512;
const OFFSET_LOCATORS: u64 = 576;

const VERSION: u32 = 0x1_0000;
/// Blocks of 512 bytes to 256 MiB; programs write 2 MiB or 512 KiB.
const BLOCKS: std::ops::RangeInclusive<u32> = 512..=256 << 20;
const ENTRY_BYTES: u64 = 4;

/// Places where the name of the parent may stand once more, and the codes of those that hold a name of a file.
const LOCATORS: u64 = 8;
const LOCATOR_BYTES: u64 = 24;
const NAMING: [&[u8]; 2] = [b"W2ku", b"W2ru"];
const MAX_LOCATOR_BYTES: u32 = 4096;

/// What the header says.
pub(super) struct Dynamic {
    start: u64,
    table: u64,
    entries: u64,
    /// Bytes of a block.
    pub(super) block: u64,
}

impl Dynamic {
    pub(super) fn read(image: &Windows, footer: &Footer) -> Result<Self, Halt> {
        let start = footer.data;
        let place = |offset: u64| start.saturating_add(offset);
        if start < FOOTER_BYTES {
            return Err(malformed(start, "the header of the block table is inside the footer"));
        }
        let bytes = image.bytes(start, usize::try_from(HEADER_BYTES).unwrap_or(usize::MAX))?;
        if !bytes.starts_with(MAGIC) {
            return Err(malformed(start, "there is no header of the block table where the footer says"));
        }
        check_sum(bytes, OFFSET_SUM, start, "header of the block table")?;
        let block = image.u32_be(place(OFFSET_BLOCK))?;
        if !BLOCKS.contains(&block) || !block.is_power_of_two() {
            let message = format!("a block has {block} bytes, allowed are powers of two from 512 to 256 MiB");
            return Err(malformed(place(OFFSET_BLOCK), message));
        }
        let dynamic = Self {
            start,
            table: image.u64_be(place(OFFSET_TABLE))?,
            entries: u64::from(image.u32_be(place(OFFSET_ENTRIES))?),
            block: u64::from(block),
        };
        dynamic.check_table(image.length(), place(OFFSET_TABLE))?;
        let version = image.u32_be(place(OFFSET_VERSION))?;
        if version != VERSION {
            return Err(unsupported(
                place(OFFSET_VERSION),
                format!("header version {version:#x} is not known"),
            ));
        }
        Ok(dynamic)
    }

    fn check_table(&self, length: u64, field: u64) -> Result<(), Halt> {
        let Range { start, end } = self.table();
        let message = format!("the block table ({} entries at byte {start})", self.entries);
        let header = self.area();
        if start < FOOTER_BYTES || (start < header.end && header.start < end) {
            return Err(malformed(field, format!("{message} overlaps a header")));
        }
        if end > length {
            let message = format!("{message} runs past the end of the image, {length} bytes");
            return Err(ImageError::new(ErrorKind::Truncated, message).at(field).into());
        }
        Ok(())
    }

    /// Whether there are blocks for a disk of this size.
    pub(super) fn check_covers(&self, size: u64) -> Result<(), Halt> {
        let most = self.entries.saturating_mul(self.block);
        if size <= most {
            return Ok(());
        }
        let message = format!("the disk has {size} bytes, but the block table covers {most}");
        Err(malformed(self.start.saturating_add(OFFSET_ENTRIES), message))
    }

    /// Where this header lies, in bytes.
    pub(super) fn area(&self) -> Range<u64> {
        self.start..self.start.saturating_add(HEADER_BYTES)
    }

    /// Where the block table lies, in bytes.
    pub(super) fn table(&self) -> Range<u64> {
        self.table..self.table.saturating_add(self.entries.saturating_mul(ENTRY_BYTES))
    }

    /// Bytes that a block takes: in front of it is a bit for each of its sectors, in whole sectors.
    pub(super) fn block_with_bitmap(&self) -> u64 {
        let bitmap = (self.block / SECTOR).div_ceil(8).next_multiple_of(SECTOR);
        self.block.saturating_add(bitmap)
    }

    /// The name of the parent: the one in the header, or the first that a locator leads to.
    pub(super) fn parent(&self, image: &Windows) -> Result<Option<String>, Halt> {
        let field = image.bytes(self.start.saturating_add(OFFSET_PARENT), PARENT_BYTES)?;
        let name = utf16(field, u16::from_be_bytes);
        if !name.is_empty() {
            return Ok(Some(name));
        }
        for index in 0..LOCATORS {
            let locator = self.start.saturating_add(OFFSET_LOCATORS + index * LOCATOR_BYTES);
            if !NAMING.contains(&image.bytes(locator, 4)?) {
                continue;
            }
            let length = image.u32_be(locator.saturating_add(8))?.min(MAX_LOCATOR_BYTES);
            let place = image.u64_be(locator.saturating_add(16))?;
            let name = utf16(image.bytes(place, usize::try_from(length).unwrap_or(0))?, u16::from_le_bytes);
            if !name.is_empty() {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }
}
