//! The entries of L1, L2, refcount and bitmap tables: eight bytes each, highest first.

use std::ops::Range;

/// Bytes of an entry, without the subclusters that follow it in some L2 tables.
pub(super) const ENTRY_BYTES: u64 = 8;
const OFFSET_MASK: u64 = 0x00ff_ffff_ffff_fe00;
const COMPRESSED: u64 = 1 << 62;
const SECTOR: u64 = 512;

/// What an entry of an L2 table points to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    Nothing,
    /// A cluster that starts here.
    Cluster(u64),
    /// Compressed data in these bytes, up to the end of a sector.
    Compressed(Range<u64>),
}

/// The cluster that an entry of any table names, compressed ones left aside.
pub(super) fn cluster(entry: u64) -> Option<u64> {
    Some(entry & OFFSET_MASK).filter(|start| *start != 0)
}

/// What an entry of an L2 table points to, in an image of clusters of `1 << cluster_bits` bytes.
pub(super) fn target(entry: u64, cluster_bits: u32) -> Target {
    if entry & COMPRESSED == 0 {
        return cluster(entry).map_or(Target::Nothing, Target::Cluster);
    }
    // Below the flags: how many sectors follow the first, in cluster_bits - 8 bits, then the first byte.
    let offset_bits = 62_u32.saturating_sub(cluster_bits.saturating_sub(8));
    let start = entry & (1_u64 << offset_bits).saturating_sub(1);
    let more = (entry & COMPRESSED.saturating_sub(1)) >> offset_bits;
    let first = start.saturating_sub(start % SECTOR);
    Target::Compressed(start..first.saturating_add(more.saturating_add(1).saturating_mul(SECTOR)))
}

/// The first eight bytes of each entry, with its position in the image.
pub(super) fn entries(table: &[u8], offset: u64, width: u64) -> impl Iterator<Item = (u64, u64)> {
    let step = usize::try_from(width).unwrap_or(8);
    table.chunks_exact(step).zip(0_u64..).map(move |(entry, index)| {
        let number = entry.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
        (number, offset.saturating_add(index.saturating_mul(width)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compressed_data_ends_with_its_last_sector() {
        let bits = 16;
        let entry = COMPRESSED | 3 << (62 - (bits - 8)) | 0x5_0123;
        assert_eq!(target(entry, bits), Target::Compressed(0x5_0123..0x5_0000 + 4 * 512));
        assert_eq!(target(COMPRESSED | 1000, 9), Target::Compressed(1000..1024));
        assert_eq!(target(u64::MAX, 9), Target::Compressed((1 << 61) - 1..(1 << 61) + 512));
    }

    #[test]
    fn flags_are_no_part_of_an_offset() {
        assert_eq!(target(1 << 63 | 0x1_0000 | 1, 16), Target::Cluster(0x1_0000));
        assert_eq!((target(1, 16), cluster(1)), (Target::Nothing, None));
        let table = [&7_u64.to_be_bytes()[..], &[9; 8], &8_u64.to_be_bytes(), &[0; 9]].concat();
        assert_eq!(entries(&table, 64, 16).collect::<Vec<_>>(), [(7, 64), (8, 80)]);
    }
}
