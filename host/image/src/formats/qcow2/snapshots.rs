//! The snapshot table: entries of varying length, walked in bounded pieces.

use std::ops::Range;

use super::fields::Fields;
use super::tables::MAX_L1_BYTES;
use crate::windows::{Halt, Windows, malformed, too_complex};

/// Fixed part of an entry.
const ENTRY_BYTES: u64 = 40;
/// Most extra data of an entry in bytes (QEMU's limit).
const MAX_EXTRA_BYTES: u32 = 1024;
/// What is read at once: hundreds of entries.
const PIECE_BYTES: u64 = 64 << 10;
const L1_ENTRY_BYTES: u64 = 8;

/// Snapshots that are looked at, for the L1 table of each takes a read.
const MAX_SNAPSHOTS: u32 = 128;

/// The snapshot table and the L1 tables that it names.
#[derive(Default)]
pub(super) struct Snapshots {
    /// Where the table lies.
    pub(super) table: Range<u64>,
    /// Where the L1 table of each snapshot lies.
    pub(super) l1: Vec<Range<u64>>,
}

/// Checks every entry: its L1 table lies in the file, and its variable part is of bounded length.
pub(super) fn read(image: &Windows, fields: &Fields) -> Result<Snapshots, Halt> {
    if fields.snapshots == 0 {
        return Ok(Snapshots::default());
    }
    if fields.snapshots > MAX_SNAPSHOTS {
        let message = format!("it has {} snapshots, and {MAX_SNAPSHOTS} are looked at", fields.snapshots);
        return Err(too_complex(fields.snapshots_offset, message));
    }
    let mut l1 = Vec::new();
    let mut left = fields.snapshots;
    let mut at = fields.snapshots_offset;
    while left > 0 {
        let length = PIECE_BYTES.min(image.length().saturating_sub(at)).max(ENTRY_BYTES);
        let Some(bytes) = image.affordable(at, length)? else {
            return Err(too_complex(at, "its snapshot table is too large to be looked at"));
        };
        let piece = Piece { start: at, bytes };
        while left > 0
            && let Some(entry) = piece.entry(at)
        {
            entry.check(at, fields, image.length())?;
            l1.push(entry.l1());
            at = at.saturating_add(entry.length());
            left -= 1;
        }
    }
    Ok(Snapshots { table: fields.snapshots_offset..at, l1 })
}

struct Piece<'a> {
    start: u64,
    bytes: &'a [u8],
}

impl Piece<'_> {
    /// The entry at a position in the image, if its fixed part is in this piece.
    fn entry(&self, at: u64) -> Option<Entry> {
        let from = usize::try_from(at.checked_sub(self.start)?).ok()?;
        let field = |offset: usize, width: usize| {
            let start = from.checked_add(offset)?;
            let bytes = self.bytes.get(start..start.checked_add(width)?)?;
            Some(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
        };
        Some(Entry {
            l1_offset: field(0, 8)?,
            l1_entries: field(8, 4)?,
            id_length: field(12, 2)?,
            name_length: field(14, 2)?,
            extra_length: field(36, 4)?,
        })
    }
}

struct Entry {
    l1_offset: u64,
    l1_entries: u64,
    id_length: u64,
    name_length: u64,
    extra_length: u64,
}

impl Entry {
    /// Bytes up to the next entry, which is aligned.
    fn length(&self) -> u64 {
        let variable = self.extra_length.saturating_add(self.id_length).saturating_add(self.name_length);
        ENTRY_BYTES.saturating_add(variable).next_multiple_of(8)
    }

    fn l1(&self) -> Range<u64> {
        let bytes = self.l1_entries.saturating_mul(L1_ENTRY_BYTES);
        self.l1_offset..self.l1_offset.saturating_add(bytes)
    }

    fn check(&self, at: u64, fields: &Fields, image_length: u64) -> Result<(), Halt> {
        if self.extra_length > u64::from(MAX_EXTRA_BYTES) {
            let message = format!(
                "a snapshot has {} bytes of extra data, allowed are {MAX_EXTRA_BYTES}",
                self.extra_length
            );
            return Err(malformed(at, message));
        }
        let bytes = self.l1_entries.saturating_mul(L1_ENTRY_BYTES);
        let aligned = self.l1_offset.is_multiple_of(fields.cluster_size());
        let inside = self.l1_offset.checked_add(bytes).is_some_and(|end| end <= image_length);
        if !aligned || !inside || bytes > MAX_L1_BYTES {
            let message = format!(
                "the L1 table of a snapshot ({bytes} bytes at byte {}) does not lie in the image",
                self.l1_offset
            );
            return Err(malformed(at, message));
        }
        if at.checked_add(self.length()).is_none_or(|end| end.saturating_sub(7) > image_length) {
            return Err(malformed(at, "a snapshot runs past the end of the image"));
        }
        Ok(())
    }
}
