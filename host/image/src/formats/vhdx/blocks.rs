//! Whether the block table points into metadata, out of the image or twice to one place, as far as is read.

use super::metadata::Metadata;
use crate::formats::areas::{Areas, table};
use crate::windows::{Halt, Windows, malformed};

/// States of a block, in the lowest bits of its entry.
const STATE_BITS: u64 = 7;
const STATE_PRESENT: u64 = 6;
const STATE_PARTLY_PRESENT: u64 = 7;
/// States that no block has.
const NO_STATES: [u64; 2] = [4, 5];
/// The place of a block in its entry, in bytes.
const PLACE: u64 = !0xF_FFFF;
const ENTRY_BYTES: u64 = 8;
/// Bytes of a block of bits.
const BITMAP_BYTES: u64 = 1 << 20;

pub(super) fn check(image: &Windows, areas: &mut Areas, metadata: &Metadata, start: u64) -> Result<(), Halt> {
    let Some(bytes) = table(image, start..start.saturating_add(metadata.table_bytes()))? else {
        return Ok(());
    };
    let (entries, _) = bytes.as_chunks::<8>();
    let ratio = metadata.blocks_per_bitmap();
    let mut blocks = Vec::new();
    for (entry, index) in entries.iter().zip(0_u64..) {
        let (entry, at) =
            (u64::from_le_bytes(*entry), start.saturating_add(index.saturating_mul(ENTRY_BYTES)));
        let state = entry & STATE_BITS;
        if NO_STATES.contains(&state) {
            return Err(malformed(at, format!("a block is in the state {state}, which is none")));
        }
        if matches!(state, STATE_PRESENT | STATE_PARTLY_PRESENT) {
            let bits = index % ratio.saturating_add(1) == ratio;
            let length = if bits { BITMAP_BYTES } else { metadata.block };
            blocks.push(areas.free("block table", at, entry & PLACE, length)?);
        }
    }
    areas.own(blocks)
}
