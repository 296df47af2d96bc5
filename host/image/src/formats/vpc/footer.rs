//! The footer of a VHD: what kind of disk it is, and how large.

use super::{SECTOR, check_sum};
use crate::windows::{Halt, Windows, malformed, unsupported};

pub(super) const MAGIC: &[u8] = b"conectix";
pub(super) const FOOTER_BYTES: u64 = 512;

const OFFSET_VERSION: u64 = 12;
const OFFSET_DATA: u64 = 16;
const OFFSET_CREATOR: u64 = 28;
const OFFSET_SIZE: u64 = 48;
const OFFSET_CYLINDERS: u64 = 56;
const OFFSET_HEADS: u64 = 58;
const OFFSET_TRACK: u64 = 59;
const OFFSET_KIND: u64 = 60;
const OFFSET_SUM: usize = 64;

const VERSION: u32 = 0x1_0000;
/// What the format can hold: 2040 GiB.
const MAX_BYTES: u64 = 2040 << 30;
/// The largest geometry; a disk of exactly that one has the recorded size.
const MAX_GEOMETRY_SECTORS: u64 = 65_535 * 16 * 255;
/// Programs whose disks have the recorded size; all others' have the size of their geometry. QEMU decides so.
const BY_SIZE: [&[u8]; 5] = [b"win ", b"qem2", b"d2v ", b"CTXS", b"tap\0"];
/// A program on whose disks the versions of QEMU do not agree.
const UNDECIDED: &[u8] = b"wa\0\0";

/// What kind of disk it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Fixed,
    Dynamic,
    Differencing,
}

/// What the footer says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Footer {
    pub(super) kind: Kind,
    /// Where the header of the tables is.
    pub(super) data: u64,
    size: u64,
    geometry_bytes: u64,
    by_size: bool,
}

impl Footer {
    /// Reads and checks the footer at `start`, where its magic was found.
    pub(super) fn read(image: &Windows, start: u64) -> Result<Self, Halt> {
        let place = |offset: u64| start.saturating_add(offset);
        let bytes = image.bytes(start, usize::try_from(FOOTER_BYTES).unwrap_or(usize::MAX))?;
        check_sum(bytes, OFFSET_SUM, start, "footer")?;
        let number = |offset| image.u8(place(offset)).map(u64::from);
        let cylinders = u64::from(image.u16_be(place(OFFSET_CYLINDERS))?);
        let geometry = cylinders * number(OFFSET_HEADS)? * number(OFFSET_TRACK)?;
        let creator = image.bytes(place(OFFSET_CREATOR), 4)?;
        let footer = Self {
            kind: kind(image, place(OFFSET_KIND))?,
            data: image.u64_be(place(OFFSET_DATA))?,
            size: image.u64_be(place(OFFSET_SIZE))?,
            geometry_bytes: geometry * SECTOR,
            by_size: BY_SIZE.contains(&creator) || geometry == MAX_GEOMETRY_SECTORS,
        };
        if creator == UNDECIDED && !footer.by_size && footer.size != footer.geometry_bytes {
            let message =
                "its size and its geometry differ, and which of them counts depends on the version of QEMU";
            return Err(malformed(place(OFFSET_SIZE), message));
        }
        let visible = footer.visible_size();
        if visible == 0 || footer.size > MAX_BYTES {
            let message = format!("the disk has {} bytes, allowed are 1 to {MAX_BYTES}", footer.size);
            return Err(malformed(place(OFFSET_SIZE), message));
        }
        let version = image.u32_be(place(OFFSET_VERSION))?;
        if version != VERSION {
            return Err(unsupported(
                place(OFFSET_VERSION),
                format!("footer version {version:#x} is not known"),
            ));
        }
        Ok(footer)
    }

    /// Size of the disk that a guest sees, in bytes.
    pub(super) fn visible_size(&self) -> u64 {
        let size = if self.by_size { self.size } else { self.geometry_bytes };
        size / SECTOR * SECTOR
    }
}

fn kind(image: &Windows, offset: u64) -> Result<Kind, Halt> {
    match image.u32_be(offset)? {
        2 => Ok(Kind::Fixed),
        3 => Ok(Kind::Dynamic),
        4 => Ok(Kind::Differencing),
        other => Err(malformed(offset, format!("it is of the kind {other}, which is no kind of disk"))),
    }
}
