//! Extents of ESX (`COWD` and seSparse). They are pieces of disks and not disks; their headers are read to say so.

use super::sectors;
use crate::formats::{Features, Header};
use crate::windows::{Halt, Windows, malformed};

const COWD: &[u8] = b"COWD";
const OFFSET_COWD_VERSION: u64 = 4;
const OFFSET_COWD_SECTORS: u64 = 12;
const OFFSET_COWD_GRAIN: u64 = 16;

const SE_SPARSE: &[u8] = b"\xbe\xba\xfe\xca\0\0\0\0";
const OFFSET_SE_CAPACITY: u64 = 16;
const OFFSET_SE_GRAIN: u64 = 24;

/// The header, if it is one of theirs.
pub(super) fn parse(image: &Windows) -> Result<Option<Header>, Halt> {
    let is = |magic: &[u8]| {
        let length = u64::try_from(magic.len()).unwrap_or(u64::MAX);
        Ok::<_, Halt>(image.length() >= length && image.bytes(0, magic.len())? == magic)
    };
    let (name, version, capacity, grain, offset) = if is(COWD)? {
        let number = |offset| image.u32_le(offset).map(u64::from);
        let version = image.u32_le(OFFSET_COWD_VERSION)?;
        ("vmfsSparse", version, number(OFFSET_COWD_SECTORS)?, number(OFFSET_COWD_GRAIN)?, OFFSET_COWD_SECTORS)
    } else if is(SE_SPARSE)? {
        let number = |offset| image.u64_le(offset);
        ("seSparse", 0, number(OFFSET_SE_CAPACITY)?, number(OFFSET_SE_GRAIN)?, OFFSET_SE_CAPACITY)
    } else {
        return Ok(None);
    };
    if capacity == 0 {
        return Err(malformed(offset, "its capacity is 0"));
    }
    Ok(Some(Header {
        subformat: Some(name),
        cluster_size: Some(sectors(grain, offset, "a grain")?),
        features: Features { version, ..Features::default() },
        ..Header::of_size(sectors(capacity, offset, "its capacity")?)
    }))
}
