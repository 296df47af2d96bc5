//! VDI, the image of VirtualBox: a header, a map of blocks, and blocks of 1 MiB.

use super::areas::{self, Areas, numbers_le};
use super::{DIFFERENCING, Features, Header, not_of_format};
use crate::error::{ErrorKind, ImageError};
use crate::windows::{Halt, Windows, malformed, unsupported};

const OFFSET_MAGIC: u64 = 64;
const MAGIC: u32 = 0xBEDA_107F;
const OFFSET_VERSION: u64 = 68;
const VERSION: u32 = 0x1_0001;
const OFFSET_HEADER_SIZE: u64 = 72;
const OFFSET_KIND: u64 = 76;
const OFFSET_MAP: u64 = 340;
const OFFSET_DATA: u64 = 344;
const OFFSET_SECTOR: u64 = 360;
const OFFSET_SIZE: u64 = 368;
const OFFSET_BLOCK: u64 = 376;
const OFFSET_EXTRA: u64 = 380;
const OFFSET_BLOCKS: u64 = 384;
const OFFSET_ALLOCATED: u64 = 388;
/// Identifiers of the image that a snapshot stands on, and of the parent.
const OFFSET_LINKS: u64 = 424;
const LINKS_BYTES: usize = 32;

const SECTOR: u64 = 512;
/// The fields counted by the header size, up to the last identifier.
const MIN_HEADER_SIZE: u32 = 384;
/// Sizes of blocks that the format knows, and the only one that QEMU reads.
const BLOCKS: std::ops::RangeInclusive<u32> = 512..=256 << 20;
const SUPPORTED_BLOCK: u32 = 1 << 20;
/// As many as QEMU reads.
const MAX_BLOCKS: u32 = 0x1FFF_FFFF;
const ENTRY_BYTES: u64 = 4;
/// Entries of the map from here on have no block.
const FIRST_NO_BLOCK: u32 = 0xFFFF_FFFE;

/// Places and counts.
struct Layout {
    map: u64,
    data: u64,
    block: u64,
    blocks: u32,
    allocated: u32,
}

/// Parses the header.
pub(super) fn parse(image: &Windows) -> Result<Header, Halt> {
    let layout = Layout::read(image)?;
    let size = size(image, &layout)?;
    let version = image.u32_le(OFFSET_VERSION)?;
    let kind = kind(image)?;
    if u64::from(SUPPORTED_BLOCK) != layout.block {
        return Err(unsupported(OFFSET_BLOCK, format!("blocks of {} bytes are not supported", layout.block)));
    }
    if image.u32_le(OFFSET_EXTRA)? != 0 {
        return Err(unsupported(OFFSET_EXTRA, "blocks with extra data in front are not supported"));
    }
    let linked = image.bytes(OFFSET_LINKS, LINKS_BYTES)?.iter().any(|byte| *byte != 0);
    Ok(Header {
        cluster_size: Some(layout.block),
        subformat: Some(if linked { DIFFERENCING } else { kind }),
        features: Features { version: version >> 16, ..Features::default() },
        ..Header::of_size(size)
    })
}

/// Looks behind the header: each block in the map once, below the number of those that there are.
pub(super) fn screen(image: &Windows) -> Result<(), Halt> {
    let layout = Layout::read(image)?;
    let mut areas = Areas::new(image);
    areas.own([0..OFFSET_LINKS, layout.map_area()])?;
    let Some(entries) = areas::table(image, layout.map_area())? else { return Ok(()) };
    let blocks = numbers_le(entries, layout.map)
        .filter(|(block, _)| *block < FIRST_NO_BLOCK)
        .map(|(block, at)| {
            if block >= layout.allocated {
                let message = format!("the block map points to block {block} of {}", layout.allocated);
                return Err(malformed(at, message));
            }
            let start = u64::from(block).saturating_mul(layout.block).saturating_add(layout.data);
            areas.free("block map", at, start, layout.block)
        })
        .collect::<Result<Vec<_>, _>>()?;
    areas.own(blocks)
}

impl Layout {
    fn read(image: &Windows) -> Result<Self, Halt> {
        if image.u32_le(OFFSET_MAGIC)? != MAGIC {
            return Err(not_of_format("vdi", OFFSET_MAGIC));
        }
        let version = image.u32_le(OFFSET_VERSION)?;
        if version != VERSION {
            let message = format!("version {}.{} is not known, 1.1 is", version >> 16, version & 0xFFFF);
            return Err(unsupported(OFFSET_VERSION, message));
        }
        let header_size = image.u32_le(OFFSET_HEADER_SIZE)?;
        let block = image.u32_le(OFFSET_BLOCK)?;
        if header_size < MIN_HEADER_SIZE {
            let message =
                format!("the header has {header_size} bytes, at least {MIN_HEADER_SIZE} belong to it");
            return Err(malformed(OFFSET_HEADER_SIZE, message));
        }
        if !BLOCKS.contains(&block) || !block.is_power_of_two() {
            let message = format!("a block has {block} bytes, allowed are powers of two from 512 to 256 MiB");
            return Err(malformed(OFFSET_BLOCK, message));
        }
        let sector = u64::from(image.u32_le(OFFSET_SECTOR)?);
        if sector != SECTOR {
            return Err(malformed(OFFSET_SECTOR, format!("a sector has {sector} bytes, not {SECTOR}")));
        }
        let layout = Self {
            map: u64::from(image.u32_le(OFFSET_MAP)?),
            data: u64::from(image.u32_le(OFFSET_DATA)?),
            block: u64::from(block),
            blocks: image.u32_le(OFFSET_BLOCKS)?,
            allocated: image.u32_le(OFFSET_ALLOCATED)?,
        };
        layout
            .check(OFFSET_MAGIC.saturating_add(8).saturating_add(u64::from(header_size)), image.length())?;
        Ok(layout)
    }

    fn map_area(&self) -> std::ops::Range<u64> {
        self.map..self.map.saturating_add(u64::from(self.blocks).saturating_mul(ENTRY_BYTES))
    }

    fn check(&self, header_end: u64, length: u64) -> Result<(), Halt> {
        let map = self.map_area();
        for (what, place, field, first) in [
            ("block map", map.start, OFFSET_MAP, header_end),
            ("first block", self.data, OFFSET_DATA, map.end),
        ] {
            if place < first || !place.is_multiple_of(SECTOR) {
                let message =
                    format!("the {what} is at byte {place}, allowed are whole sectors from {first} on");
                return Err(malformed(field, message));
            }
        }
        if self.blocks > MAX_BLOCKS || self.allocated > self.blocks {
            let message =
                format!("{} of {} blocks are in use, and {MAX_BLOCKS} may be", self.allocated, self.blocks);
            return Err(malformed(OFFSET_BLOCKS, message));
        }
        if map.end > length {
            let message = format!("the block map runs past the end of the image, {length} bytes");
            return Err(ImageError::new(ErrorKind::Truncated, message).at(OFFSET_MAP).into());
        }
        Ok(())
    }
}

/// Size of the disk; readers round it up to whole sectors.
fn size(image: &Windows, layout: &Layout) -> Result<u64, Halt> {
    let size = image.u64_le(OFFSET_SIZE)?;
    let most = u64::from(layout.blocks).saturating_mul(layout.block);
    match size.checked_next_multiple_of(SECTOR) {
        Some(rounded) if rounded > 0 && rounded <= most => Ok(rounded),
        _ => {
            Err(malformed(OFFSET_SIZE, format!("the disk has {size} bytes, but the block map covers {most}")))
        }
    }
}

fn kind(image: &Windows) -> Result<&'static str, Halt> {
    match image.u32_le(OFFSET_KIND)? {
        1 => Ok("dynamic"),
        2 => Ok("static"),
        3 => Err(unsupported(OFFSET_KIND, "it is an undo image, which is not supported")),
        4 => Ok(DIFFERENCING),
        other => Err(malformed(OFFSET_KIND, format!("it is of the kind {other}, which is no kind of disk"))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::format::Format;
    use crate::inspection::Inspection;
    use crate::sample::{self, Bytes};
    use crate::windows::READ_BUDGET;

    const MIB: usize = 1 << 20;

    /// 2 MiB, of which the second is there.
    fn sample() -> Bytes {
        Bytes::zeros(1024 + MIB)
            .le32(64, MAGIC)
            .le32(68, VERSION)
            .le32(72, 400)
            .le32(76, 1)
            .le32(340, 512)
            .le32(344, 1024)
            .le32(360, 512)
            .le64(368, 2 << 20)
            .le32(376, 1 << 20)
            .le32(384, 2)
            .le32(388, 1)
            .le32(512, u32::MAX)
            .le32(516, 0)
    }

    fn facts(image: &Bytes) -> Header {
        sample::facts(Format::Vdi, image).unwrap()
    }

    /// What a screened inspection for use refuses; none if it does not.
    fn refusal(image: &Bytes) -> Option<ErrorKind> {
        let inspection = Inspection::new(Format::Vdi, image.0.len() as u64).screened();
        sample::drive(inspection, &image.0).0.err().map(|error| error.kind())
    }

    #[test]
    fn a_disk_is_read() {
        assert_eq!(refusal(&sample()), None);
        let header = facts(&sample());
        assert_eq!((header.virtual_size, header.cluster_size), (2 << 20, Some(1 << 20)));
        assert_eq!((header.subformat, header.features.version), (Some("dynamic"), 1));
        assert_eq!(facts(&sample().le32(76, 2)).subformat, Some("static"));
        assert_eq!(facts(&sample().le64(368, (2 << 20) - 1000)).virtual_size, (2 << 20) - 512);
    }

    #[test]
    fn what_stands_on_another_image_is_unsupported() {
        for image in [sample().le32(76, 4), sample().put(424, b"x"), sample().put(440, b"x")] {
            assert_eq!(facts(&image).subformat, Some(DIFFERENCING));
            assert_eq!(refusal(&image), Some(ErrorKind::Unsupported));
        }
        for image in [sample().le32(76, 3), sample().le32(68, 0x2_0000), sample().le32(380, 512)] {
            assert_eq!(refusal(&image), Some(ErrorKind::Unsupported));
        }
        assert_eq!(refusal(&sample().le32(376, 2 << 20)), Some(ErrorKind::Unsupported));
    }

    #[test]
    fn every_field_is_checked() {
        for (what, image, kind) in [
            ("magic", sample().le32(64, 0), ErrorKind::Malformed),
            ("header size", sample().le32(72, 8), ErrorKind::Malformed),
            ("header beyond the map", sample().le32(72, 600), ErrorKind::Malformed),
            ("kind", sample().le32(76, 9), ErrorKind::Malformed),
            ("map odd", sample().le32(340, 513), ErrorKind::Malformed),
            ("map in the header", sample().le32(340, 0), ErrorKind::Malformed),
            ("map behind the end", sample().le32(340, 4 << 20).le32(344, 5 << 20), ErrorKind::Truncated),
            ("data in the map", sample().le32(344, 512), ErrorKind::Malformed),
            ("sector", sample().le32(360, 1), ErrorKind::Malformed),
            ("size 0", sample().le64(368, 0), ErrorKind::Malformed),
            ("size", sample().le64(368, 1 << 40), ErrorKind::Malformed),
            ("size wraps", sample().le64(368, u64::MAX), ErrorKind::Malformed),
            ("block 0", sample().le32(376, 0), ErrorKind::Malformed),
            ("block odd", sample().le32(376, 3 << 20), ErrorKind::Malformed),
            ("blocks", sample().le32(384, u32::MAX), ErrorKind::Malformed),
            ("allocated", sample().le32(388, 1000), ErrorKind::Malformed),
            ("short", Bytes(sample().0[..100].to_vec()), ErrorKind::Truncated),
        ] {
            assert_eq!(refusal(&image), Some(kind), "{what}");
        }
    }

    #[test]
    fn the_map_is_screened() {
        assert_eq!(refusal(&sample().le32(516, FIRST_NO_BLOCK)), None);
        for (what, image) in [
            ("not allocated", sample().le32(516, 1)),
            ("behind the end", sample().le32(388, 2).le32(516, 1)),
            ("twice", sample().le32(512, 0)),
        ] {
            assert_eq!(refusal(&image), Some(ErrorKind::Malformed), "{what}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn changed_headers_never_panic(changes in proptest::collection::vec((68usize..530, any::<u8>()), 0..8), cut in 0usize..4096) {
            let image = changes.into_iter().fold(sample(), |image, (at, byte)| image.put(at, &[byte]));
            for bytes in [&image.0[..], &image.0[..cut]] {
                let inspection = Inspection::new(Format::Vdi, bytes.len() as u64).screened();
                prop_assert!(sample::drive(inspection, bytes).1 <= READ_BUDGET);
            }
        }
    }
}
