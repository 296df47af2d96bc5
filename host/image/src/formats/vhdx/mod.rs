//! VHDX, the image of Hyper-V: two headers, a table of regions, and metadata and blocks in regions of their own.
//!
//! Facts are those of MS-VHDX. A log that is not empty holds writes that whoever opens the image next must
//! apply, wherever they point to, so such an image is shown and not used.

mod blocks;
mod checksum;
mod guid;
mod headers;
mod metadata;
mod regions;
#[cfg(test)]
mod tests;

use std::ops::Range;

use super::areas::Areas;
use super::{BackingRecord, DIFFERENCING, Features, Header, RecordedFormat, not_of_format};
use crate::error::{ErrorKind, ImageError};
use crate::windows::{Halt, Windows, malformed};
use headers::Current;
use metadata::Metadata;
use regions::Regions;

const MAGIC: &[u8] = b"vhdxfile";
const MIB: u64 = 1 << 20;
/// Identifier, headers and tables of regions.
const FRONT: Range<u64> = 0..MIB;

/// Where both headers and both tables of regions lie.
const STRUCTURES: Range<u64> = 64 << 10..320 << 10;

/// Everything in front of the blocks.
struct Vhdx {
    current: Current,
    regions: Regions,
    metadata: Metadata,
}

/// Parses headers, regions and metadata.
pub(super) fn parse(image: &Windows) -> Result<Header, Halt> {
    let vhdx = Vhdx::read(image)?;
    let metadata = &vhdx.metadata;
    let backing = metadata.parent.clone().map(|name| BackingRecord { name, format: RecordedFormat::Absent });
    let subformat = match (metadata.has_parent, metadata.keeps_blocks) {
        (true, _) => DIFFERENCING,
        (false, true) => "fixed",
        (false, false) => "dynamic",
    };
    Ok(Header {
        cluster_size: Some(metadata.block),
        subformat: Some(subformat),
        backing,
        features: Features { version: 1, dirty: vhdx.current.dirty, ..Features::default() },
        ..Header::of_size(metadata.size)
    })
}

/// Looks behind the header: the copies, and where the block table points to.
pub(super) fn screen(image: &Windows) -> Result<(), Halt> {
    let vhdx = Vhdx::read(image)?;
    regions::check_copy(image, &vhdx.regions)?;
    let mut areas = vhdx.areas(image)?;
    blocks::check(image, &mut areas, &vhdx.metadata, vhdx.regions.blocks.start)
}

/// An image that is not closed cleanly is changed by whoever opens it.
pub(super) fn usable(header: &Header) -> Result<(), ImageError> {
    if !header.features.dirty {
        return Ok(());
    }
    let message = "it was not closed cleanly: its log holds writes that are not applied yet";
    Err(ImageError::new(ErrorKind::Corrupt, message)
        .hint("if it comes from a trusted host, let 'qemu-img check -r all' apply them to a copy of it"))
}

impl Vhdx {
    fn read(image: &Windows) -> Result<Self, Halt> {
        if image.bytes(0, MAGIC.len())? != MAGIC {
            return Err(not_of_format("vhdx", 0));
        }
        // One read for both headers and both tables: every read more is another round over their checksums.
        image.bytes(
            STRUCTURES.start,
            usize::try_from(STRUCTURES.end - STRUCTURES.start).unwrap_or(usize::MAX),
        )?;
        let current = Current::read(image)?;
        let regions = Regions::read(image, regions::OFFSET)?;
        let metadata = Metadata::read(image, &regions.metadata)?;
        let vhdx = Self { current, regions, metadata };
        vhdx.areas(image)?;
        let table = vhdx.metadata.table_bytes();
        let room = vhdx.regions.blocks.end.saturating_sub(vhdx.regions.blocks.start);
        if table > room {
            let message = format!("the block table has {room} bytes, the disk needs {table}");
            return Err(malformed(vhdx.regions.blocks.start, message));
        }
        vhdx.regions.check_support()?;
        vhdx.metadata.check_support(&vhdx.regions.metadata)?;
        Ok(vhdx)
    }

    fn areas(&self, image: &Windows) -> Result<Areas, Halt> {
        let mut areas = Areas::new(image);
        areas.own([FRONT, self.current.log.clone()])?;
        areas.own(self.regions.all())?;
        Ok(areas)
    }
}

/// A stretch in whole MiB behind the front, as regions and the log must be.
fn region(start: u64, length: u64, field: u64, what: &str) -> Result<Range<u64>, Halt> {
    let whole = start.is_multiple_of(MIB) && length.is_multiple_of(MIB) && length != 0;
    match start.checked_add(length) {
        Some(end) if whole && start >= FRONT.end => Ok(start..end),
        _ => Err(malformed(
            field,
            format!("{what} ({length} bytes at byte {start}) is not in whole MiB behind the headers"),
        )),
    }
}
