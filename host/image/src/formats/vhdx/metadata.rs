//! The metadata: sizes, and the parent of a differencing disk.

use std::ops::Range;

use super::guid::{Guid, guid};
use crate::formats::utf16;
use crate::windows::{Halt, Windows, malformed, unsupported};

const SIGNATURE: &[u8] = b"metadata";
const TABLE_BYTES: u64 = 64 << 10;
/// What is read behind the table at once.
const ITEMS_BYTES: u64 = 4096;
const OFFSET_COUNT: u64 = 10;
const OFFSET_ENTRIES: u64 = 32;
const ENTRY_BYTES: u64 = 32;
/// As many as fit into the table.
const MAX_ENTRIES: u16 = 2047;
const REQUIRED: u32 = 1 << 2;

const FILE_PARAMETERS: Guid = guid(0xCAA1_6737, 0xFA36, 0x4D43, 0xB3B6_33F0_AA44_E76B);
const DISK_SIZE: Guid = guid(0x2FA5_4224, 0xCD1B, 0x4876, 0xB211_5DBE_D83B_F4B8);
const DISK_ID: Guid = guid(0xBECA_12AB, 0xB2E6, 0x4523, 0x93EF_C309_E000_C746);
const LOGICAL_SECTOR: Guid = guid(0x8141_BF1D, 0xA96F, 0x4709, 0xBA47_F233_A8FA_AB5F);
const PHYSICAL_SECTOR: Guid = guid(0xCDA3_48C7, 0x445D, 0x4471, 0x9CC9_E988_5251_C556);
const PARENT_LOCATOR: Guid = guid(0xA8D3_5F2D, 0xB30B, 0x454D, 0xABF7_D3D8_4834_AB0C);

const KEEPS_BLOCKS: u32 = 1 << 0;
const HAS_PARENT: u32 = 1 << 1;
const BLOCKS: std::ops::RangeInclusive<u64> = 1 << 20..=256 << 20;
const SECTORS: [u64; 2] = [512, 4096];
/// What the format can hold: 64 TiB.
const MAX_BYTES: u64 = 64 << 40;
/// Sectors whose state one block of bits records.
const SECTORS_PER_BITMAP: u64 = 1 << 23;
const TABLE_ENTRY_BYTES: u64 = 8;

/// Entries of a parent locator, and the keys of those that name a file, best first.
const MAX_PAIRS: u16 = 64;
/// Longest locator, which is read as a whole: three names of the greatest length that Windows knows, and more.
const MAX_LOCATOR_BYTES: u64 = 256 << 10;
const PATHS: [&str; 3] = ["relative_path", "volume_path", "absolute_win32_path"];

/// What the metadata say.
pub(super) struct Metadata {
    /// Bytes of a block.
    pub(super) block: u64,
    /// Size of the disk in bytes.
    pub(super) size: u64,
    /// All blocks were allocated when the image was made.
    pub(super) keeps_blocks: bool,
    /// It holds only what differs from a parent.
    pub(super) has_parent: bool,
    /// The parent's name.
    pub(super) parent: Option<String>,
    sector: u64,
    /// There is an item that a reader must know, and that is not known here.
    unknown: bool,
}

/// Where the known items lie, in bytes.
#[derive(Default)]
struct Items {
    parameters: Option<Range<u64>>,
    size: Option<Range<u64>>,
    id: Option<Range<u64>>,
    logical: Option<Range<u64>>,
    physical: Option<Range<u64>>,
    parent: Option<Range<u64>>,
    unknown: bool,
}

impl Metadata {
    pub(super) fn read(image: &Windows, region: &Range<u64>) -> Result<Self, Halt> {
        let items = Items::read(image, region)?;
        let fault = |message: String| malformed(region.start, message);
        let parameters = item(&items.parameters, 8, "parameters of the file", region)?;
        let size = image.u64_le(item(&items.size, 8, "size of the disk", region)?)?;
        let sector = u64::from(image.u32_le(item(&items.logical, 4, "logical sector size", region)?)?);
        let physical = u64::from(image.u32_le(item(&items.physical, 4, "physical sector size", region)?)?);
        if !SECTORS.contains(&sector) || !SECTORS.contains(&physical) {
            return Err(fault(format!(
                "sectors have {sector} and {physical} bytes, allowed are 512 and 4096"
            )));
        }
        let block = u64::from(image.u32_le(parameters)?);
        if !BLOCKS.contains(&block) || !block.is_power_of_two() {
            return Err(fault(format!(
                "a block has {block} bytes, allowed are powers of two from 1 to 256 MiB"
            )));
        }
        if size == 0 || size > MAX_BYTES || !size.is_multiple_of(sector) {
            return Err(fault(format!(
                "the disk has {size} bytes, allowed are whole sectors up to {MAX_BYTES}"
            )));
        }
        let flags = image.u32_le(parameters.saturating_add(4))?;
        Ok(Self {
            block,
            size,
            keeps_blocks: flags & KEEPS_BLOCKS != 0,
            has_parent: flags & HAS_PARENT != 0,
            parent: items.parent.map(|place| parent(image, &place)).transpose()?.flatten(),
            sector,
            unknown: items.unknown,
        })
    }

    /// Blocks of data that share one block of bits, which follows them in the block table.
    pub(super) fn blocks_per_bitmap(&self) -> u64 {
        SECTORS_PER_BITMAP * self.sector / self.block.max(1)
    }

    /// Bytes that the block table needs: an entry for each block, and for each block of bits in between.
    pub(super) fn table_bytes(&self) -> u64 {
        let blocks = self.size.div_ceil(self.block.max(1));
        let ratio = self.blocks_per_bitmap().max(1);
        let bitmaps = if self.has_parent { blocks.div_ceil(ratio) } else { blocks.saturating_sub(1) / ratio };
        let all =
            if self.has_parent { bitmaps.saturating_mul(ratio.saturating_add(1)) } else { blocks + bitmaps };
        all.saturating_mul(TABLE_ENTRY_BYTES)
    }

    /// What may be new instead of wrong.
    pub(super) fn check_support(&self, region: &Range<u64>) -> Result<(), Halt> {
        if self.unknown {
            let message = "its metadata have an item that readers must know, and that is not known";
            return Err(unsupported(region.start, message));
        }
        Ok(())
    }
}

impl Items {
    fn read(image: &Windows, region: &Range<u64>) -> Result<Self, Halt> {
        let start = region.start;
        // The items follow the table as a rule, and are read with it.
        let length = (TABLE_BYTES + ITEMS_BYTES).min(region.end.saturating_sub(start));
        let table = image.bytes(start, usize::try_from(length).unwrap_or(usize::MAX))?;
        if !table.starts_with(SIGNATURE) {
            return Err(malformed(start, "there are no metadata where the table of regions says"));
        }
        let count = image.u16_le(start.saturating_add(OFFSET_COUNT))?;
        if count > MAX_ENTRIES {
            let message = format!("there are {count} items of metadata, allowed are {MAX_ENTRIES}");
            return Err(malformed(start.saturating_add(OFFSET_COUNT), message));
        }
        let mut items = Self::default();
        let mut places = Vec::new();
        for index in 0..u64::from(count) {
            let at = start.saturating_add(OFFSET_ENTRIES + index * ENTRY_BYTES);
            let id: Guid = image.bytes(at, 16)?.try_into().unwrap_or_default();
            let place = place(image, at, region)?;
            let required = image.u32_le(at.saturating_add(24))? & REQUIRED != 0;
            items.take(id, &place, required).map_err(|why| malformed(at, why))?;
            places.push(place);
        }
        places.sort_unstable_by_key(|place| place.start);
        if places.iter().zip(places.iter().skip(1)).any(|(one, next)| next.start < one.end) {
            return Err(malformed(start, "two items of metadata overlap"));
        }
        Ok(items)
    }

    fn take(&mut self, id: Guid, place: &Range<u64>, required: bool) -> Result<(), &'static str> {
        let slot = match id {
            FILE_PARAMETERS => &mut self.parameters,
            DISK_SIZE => &mut self.size,
            DISK_ID => &mut self.id,
            LOGICAL_SECTOR => &mut self.logical,
            PHYSICAL_SECTOR => &mut self.physical,
            PARENT_LOCATOR => &mut self.parent,
            _ => {
                self.unknown |= required;
                return Ok(());
            }
        };
        if slot.replace(place.clone()).is_some() {
            return Err("an item of metadata appears twice");
        }
        Ok(())
    }
}

/// Where an item lies: behind the table, in the region. Empty items lie nowhere.
fn place(image: &Windows, at: u64, region: &Range<u64>) -> Result<Range<u64>, Halt> {
    let offset = u64::from(image.u32_le(at.saturating_add(16))?);
    let length = u64::from(image.u32_le(at.saturating_add(20))?);
    let start = region.start.saturating_add(offset);
    let end = start.saturating_add(length);
    if length == 0 || (offset >= TABLE_BYTES && end <= region.end) {
        return Ok(start..end);
    }
    Err(malformed(at, format!("an item of metadata ({length} bytes at {offset}) lies outside their region")))
}

/// The start of an item that must be there, with so many bytes.
fn item(place: &Option<Range<u64>>, bytes: u64, what: &str, region: &Range<u64>) -> Result<u64, Halt> {
    match place {
        Some(place) if place.end.saturating_sub(place.start) == bytes => Ok(place.start),
        Some(_) => Err(malformed(region.start, format!("the {what} in the metadata has a wrong length"))),
        None => Err(malformed(region.start, format!("the metadata lack the {what}"))),
    }
}

/// The best name in a parent locator, which is a list of keys and values in text of 16 bits.
fn parent(image: &Windows, place: &Range<u64>) -> Result<Option<String>, Halt> {
    let length = place.end.saturating_sub(place.start);
    if !(20..=MAX_LOCATOR_BYTES).contains(&length) {
        let message =
            format!("the locator of the parent has {length} bytes, allowed are 20 to {MAX_LOCATOR_BYTES}");
        return Err(malformed(place.start, message));
    }
    image.bytes(place.start, usize::try_from(length).unwrap_or(usize::MAX))?;
    let count = image.u16_le(place.start.saturating_add(18))?;
    if count > MAX_PAIRS {
        return Err(malformed(place.start, format!("the locator of the parent has {count} entries")));
    }
    let mut best: Option<(usize, String)> = None;
    for index in 0..u64::from(count) {
        let at = place.start.saturating_add(20 + index * 12);
        let key = part(image, place, at, at.saturating_add(8))?;
        let value = part(image, place, at.saturating_add(4), at.saturating_add(10))?;
        let rank = PATHS.iter().position(|path| *path == key && !value.is_empty());
        if let Some(rank) = rank.filter(|rank| best.as_ref().is_none_or(|(best, _)| rank < best)) {
            best = Some((rank, value));
        }
    }
    Ok(best.map(|(_, name)| name))
}

/// A text of the locator, by where its offset and its length stand.
fn part(image: &Windows, place: &Range<u64>, offset: u64, length: u64) -> Result<String, Halt> {
    let start = place.start.saturating_add(u64::from(image.u32_le(offset)?));
    let length = image.u16_le(length)?;
    if start.saturating_add(u64::from(length)) > place.end {
        return Err(malformed(offset, "an entry of the locator of the parent lies outside it"));
    }
    Ok(utf16(image.bytes(start, usize::from(length))?, u16::from_le_bytes))
}
