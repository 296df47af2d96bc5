//! The bitmap directory: entries of varying length, each with the place of a bitmap's table.

use std::ops::Range;

use super::fields::Fields;
use crate::windows::{Halt, Windows, malformed, too_complex};

/// Fixed part of an entry.
const ENTRY_BYTES: u64 = 24;
/// Bytes of an entry in the table of a bitmap.
const TABLE_ENTRY_BYTES: u64 = 8;
/// Bitmaps that are looked at, for the table of each takes a read.
const MAX_BITMAPS: u32 = 64;

/// Where the directory lies, and how many bitmaps it should have.
pub(super) struct Directory {
    pub(super) bitmaps: u32,
    pub(super) place: Range<u64>,
}

impl Directory {
    /// Where the table of each bitmap lies: in the file, in clusters of its own.
    pub(super) fn tables(&self, image: &Windows, fields: &Fields) -> Result<Vec<Range<u64>>, Halt> {
        let start = self.place.start;
        if self.bitmaps > MAX_BITMAPS {
            let message = format!("it has {} bitmaps, and {MAX_BITMAPS} are looked at", self.bitmaps);
            return Err(too_complex(start, message));
        }
        let length = self.place.end.saturating_sub(start);
        let Some(bytes) = image.affordable(start, length)? else {
            return Err(too_complex(start, "its bitmap directory is too large to be looked at"));
        };
        let mut tables = Vec::new();
        let mut at = 0;
        for _ in 0..self.bitmaps {
            let (table, next) = entry(bytes, at)
                .ok_or_else(|| malformed(start.saturating_add(at), "a bitmap runs past its directory"))?;
            let aligned = table.start.is_multiple_of(fields.cluster_size());
            if !aligned || table.is_empty() || table.end > image.length() {
                let message =
                    format!("the table of a bitmap, at byte {}, does not lie in the image", table.start);
                return Err(malformed(start.saturating_add(at), message));
            }
            tables.push(table);
            at = next;
        }
        Ok(tables)
    }
}

/// The table of the bitmap whose entry is at `at`, and where the next entry is.
fn entry(directory: &[u8], at: u64) -> Option<(Range<u64>, u64)> {
    let from = usize::try_from(at).ok()?;
    let field = |offset: usize, width: usize| {
        let start = from.checked_add(offset)?;
        let bytes = directory.get(start..start.checked_add(width)?)?;
        Some(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    };
    let (start, entries) = (field(0, 8)?, field(8, 4)?);
    let table = start..start.saturating_add(entries.saturating_mul(TABLE_ENTRY_BYTES));
    let variable = field(18, 2)?.saturating_add(field(20, 4)?);
    let next = at.saturating_add(ENTRY_BYTES).saturating_add(variable).next_multiple_of(8);
    let inside = u64::try_from(directory.len()).is_ok_and(|length| next <= length);
    inside.then_some((table, next))
}
