//! The two headers, of which the one with the higher number counts, and the log that it refers to.

use std::ops::Range;

use super::{checksum, region};
use crate::error::{ErrorKind, ImageError};
use crate::windows::{Halt, Windows, malformed, unsupported};

const OFFSETS: [u64; 2] = [64 << 10, 128 << 10];
const HEADER_BYTES: usize = 4096;
const SIGNATURE: &[u8] = b"head";

const OFFSET_SUM: usize = 4;
const OFFSET_SEQUENCE: u64 = 8;
const OFFSET_LOG_ID: u64 = 48;
const ID_BYTES: usize = 16;
const OFFSET_VERSION: u64 = 66;
const OFFSET_LOG_LENGTH: u64 = 68;
const OFFSET_LOG: u64 = 72;

const VERSION: u16 = 1;

/// What the header that counts says.
pub(super) struct Current {
    /// The log may hold writes that are not applied.
    pub(super) dirty: bool,
    /// Where the log lies, in bytes.
    pub(super) log: Range<u64>,
}

impl Current {
    pub(super) fn read(image: &Windows) -> Result<Self, Halt> {
        let [first, second] = OFFSETS;
        let start = match (sequence(image, first)?, sequence(image, second)?) {
            (Some(one), Some(other)) if one == other => {
                if image.bytes(first, HEADER_BYTES)? != image.bytes(second, HEADER_BYTES)? {
                    return Err(malformed(second, "its two headers have the same number, but differ"));
                }
                first
            }
            (Some(one), Some(other)) => {
                if one > other {
                    first
                } else {
                    second
                }
            }
            (Some(_), None) => first,
            (None, Some(_)) => second,
            (None, None) => {
                return Err(malformed(
                    first,
                    "neither of its two headers has a right checksum, so it is damaged",
                ));
            }
        };
        Self::at(image, start)
    }

    fn at(image: &Windows, start: u64) -> Result<Self, Halt> {
        let place = |offset: u64| start.saturating_add(offset);
        let version = image.u16_le(place(OFFSET_VERSION))?;
        if version != VERSION {
            return Err(unsupported(place(OFFSET_VERSION), format!("version {version} is not known")));
        }
        let dirty = image.bytes(place(OFFSET_LOG_ID), ID_BYTES)?.iter().any(|byte| *byte != 0);
        let length = u64::from(image.u32_le(place(OFFSET_LOG_LENGTH))?);
        let log = image.u64_le(place(OFFSET_LOG))?;
        let log = region(log, length, place(OFFSET_LOG), "the log")?;
        if log.end > image.length() {
            let message = format!("the log ends at byte {}, behind the end of the image", log.end);
            return Err(ImageError::new(ErrorKind::Truncated, message).at(place(OFFSET_LOG)).into());
        }
        Ok(Self { dirty, log })
    }
}

/// The number of a header; none if it is not a header, as after a power cut while it was written.
fn sequence(image: &Windows, start: u64) -> Result<Option<u64>, Halt> {
    let bytes = image.bytes(start, HEADER_BYTES)?;
    if !bytes.starts_with(SIGNATURE) || !checksum::is_right(bytes, OFFSET_SUM) {
        return Ok(None);
    }
    image.u64_le(start.saturating_add(OFFSET_SEQUENCE)).map(Some)
}
