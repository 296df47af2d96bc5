//! VHD, the image of Virtual PC and early Hyper-V: a footer behind the data, or in front of tables as well.

mod dynamic;
mod footer;
#[cfg(test)]
mod tests;

use super::areas::{self, Areas, numbers_be};
use super::{BackingRecord, DIFFERENCING, Header, RecordedFormat, not_of_format};
use crate::error::{ErrorKind, ImageError};
use crate::windows::{Halt, Windows, malformed};
use dynamic::Dynamic;
use footer::{FOOTER_BYTES, Footer, Kind, MAGIC};

/// An entry of the block table that has no block.
const NO_BLOCK: u32 = u32::MAX;
const SECTOR: u64 = 512;

/// Parses the footer in front, and the tables behind it; or the footer at the end, which is all that a disk of
/// fixed size has. What lies at the start of such a disk is the guest's.
pub(super) fn parse(image: &Windows) -> Result<Header, Halt> {
    if starts_with_footer(image)? {
        let (footer, dynamic) = front(image)?;
        return described(image, &footer, &dynamic);
    }
    let Some(start) = image.before_end(FOOTER_BYTES).filter(|start| start.is_multiple_of(SECTOR)) else {
        return Err(not_of_format("vpc", 0));
    };
    if image.bytes(start, MAGIC.len())? != MAGIC {
        return Err(not_of_format("vpc", start));
    }
    let footer = Footer::read(image, start)?;
    if footer.kind != Kind::Fixed {
        return Err(malformed(start, "it is not of fixed size, but has no copy of its footer at the start"));
    }
    let size = footer.visible_size();
    if size > start {
        let message = format!("the disk has {size} bytes, but only {start} are in front of the footer");
        return Err(ImageError::new(ErrorKind::Truncated, message).at(start).into());
    }
    Ok(Header { subformat: Some("fixed"), ..Header::of_size(size) })
}

/// Looks behind the header: whether both footers agree, and where the block table points to.
pub(super) fn screen(image: &Windows) -> Result<(), Halt> {
    if !starts_with_footer(image)? {
        return Ok(());
    }
    let (footer, dynamic) = front(image)?;
    let Some(end) = image.before_end(FOOTER_BYTES).filter(|end| *end >= FOOTER_BYTES) else {
        return Err(malformed(0, "the footer at its end is missing"));
    };
    if image.bytes(end, MAGIC.len())? != MAGIC || Footer::read(image, end)? != footer {
        return Err(malformed(end, "the footer at its end is missing, or says something else than its copy"));
    }
    let mut areas = Areas::new(image);
    areas.own([0..FOOTER_BYTES, end..image.length(), dynamic.area(), dynamic.table()])?;
    let table = dynamic.table();
    let Some(entries) = areas::table(image, table.clone())? else { return Ok(()) };
    let blocks = numbers_be(entries, table.start)
        .filter(|(sector, _)| *sector != NO_BLOCK)
        .map(|(sector, at)| {
            let start = u64::from(sector).saturating_mul(SECTOR);
            areas.free("block table", at, start, dynamic.block_with_bitmap())
        })
        .collect::<Result<Vec<_>, _>>()?;
    areas.own(blocks)
}

fn starts_with_footer(image: &Windows) -> Result<bool, Halt> {
    let long_enough = image.length() >= u64::try_from(MAGIC.len()).unwrap_or(u64::MAX);
    Ok(long_enough && image.bytes(0, MAGIC.len())? == MAGIC)
}

fn front(image: &Windows) -> Result<(Footer, Dynamic), Halt> {
    let footer = Footer::read(image, 0)?;
    if footer.kind == Kind::Fixed {
        return Err(malformed(0, "it is of fixed size, but has a footer at the start"));
    }
    let dynamic = Dynamic::read(image, &footer)?;
    Ok((footer, dynamic))
}

fn described(image: &Windows, footer: &Footer, dynamic: &Dynamic) -> Result<Header, Halt> {
    let size = footer.visible_size();
    dynamic.check_covers(size)?;
    let header = Header { cluster_size: Some(dynamic.block), ..Header::of_size(size) };
    if footer.kind == Kind::Dynamic {
        return Ok(Header { subformat: Some("dynamic"), ..header });
    }
    let parent = dynamic.parent(image)?;
    let backing = parent.map(|name| BackingRecord { name, format: RecordedFormat::Absent });
    Ok(Header { subformat: Some(DIFFERENCING), backing, ..header })
}

/// The sum that footer and header carry: of all their bytes but its own four, inverted.
fn check_sum(bytes: &[u8], sum_at: usize, start: u64, what: &str) -> Result<(), Halt> {
    let (before, rest) = bytes.split_at_checked(sum_at).unwrap_or_default();
    let (recorded, after) = rest.split_at_checked(4).unwrap_or_default();
    let sum = before.iter().chain(after).fold(0_u32, |sum, byte| sum.wrapping_add(u32::from(*byte)));
    if recorded == (!sum).to_be_bytes() {
        return Ok(());
    }
    Err(malformed(start, format!("the checksum of the {what} is wrong, so the image is damaged")))
}
