//! Whether the tables of a qcow2 image point into one another, as far as the read budget reaches.
//!
//! An image whose L1 table names itself as an L2 table lets a guest write its own metadata. Hypervisors look
//! for that while they write; an image from elsewhere is looked at once, before anyone opens it.

use super::fields::Fields;
use crate::windows::{Halt, Windows, malformed};

/// Offset in an entry of the L1, L2 or refcount table.
const OFFSET_MASK: u64 = 0x00ff_ffff_ffff_fe00;
const COMPRESSED: u64 = 1 << 62;
const ENTRY_BYTES: u64 = 8;
/// L2 tables that are followed, for each takes a read.
const MAX_L2_TABLES: usize = 64;

/// Checks the active tables. What the budget does not reach is left to the hypervisor.
pub(super) fn check(image: &Windows, fields: &Fields) -> Result<(), Halt> {
    let mut tables = Tables::new(image, fields);
    let refcount_bytes = u64::from(fields.refcount_table_clusters).saturating_mul(fields.cluster_size());
    let blocks = tables.follow("refcount table", fields.refcount_table_offset, refcount_bytes)?;
    tables.own(&blocks);
    let l1_bytes = u64::from(fields.l1_entries).saturating_mul(ENTRY_BYTES);
    let l2 = tables.follow("L1 table", fields.l1_offset, l1_bytes)?;
    tables.own(&l2);
    // With an external data file, offsets in L2 tables are positions in that file.
    if fields.data_file() {
        return Ok(());
    }
    l2.into_iter().take(MAX_L2_TABLES).try_for_each(|table| tables.check_data(table))
}

/// The clusters that hold metadata, by cluster number and in order.
struct Tables<'a> {
    image: &'a Windows,
    fields: &'a Fields,
    owned: Vec<u64>,
}

impl<'a> Tables<'a> {
    fn new(image: &'a Windows, fields: &'a Fields) -> Self {
        let cluster = fields.cluster_size();
        let l1_clusters = u64::from(fields.l1_entries).saturating_mul(ENTRY_BYTES).div_ceil(cluster);
        let first = fields.l1_offset / cluster;
        let refcounts = fields.refcount_table_offset / cluster;
        // Both tables are of bounded size, or the header was refused.
        let mut owned = vec![0];
        owned.extend(first..first.saturating_add(l1_clusters));
        owned.extend(refcounts..refcounts.saturating_add(u64::from(fields.refcount_table_clusters)));
        owned.sort_unstable();
        Self { image, fields, owned }
    }

    /// Where the entries of a table point to, in order and each once; nothing if it is too large to be read.
    fn follow(&self, what: &str, offset: u64, bytes: u64) -> Result<Vec<u64>, Halt> {
        let Some(table) = self.image.affordable(offset, bytes)? else { return Ok(Vec::new()) };
        let mut targets = Vec::new();
        for (entry, at) in entries(table, offset, ENTRY_BYTES) {
            let target = entry & OFFSET_MASK;
            if target == 0 {
                continue;
            }
            self.check_target(what, at, target)?;
            if target >= self.image.length() {
                let message = format!("the {what} points to byte {target}, behind the end of the image");
                return Err(malformed(at, message));
            }
            targets.push(target);
        }
        targets.sort_unstable();
        targets.dedup();
        Ok(targets)
    }

    /// From now on these hold metadata too.
    fn own(&mut self, targets: &[u64]) {
        self.owned.extend(targets.iter().map(|target| target / self.fields.cluster_size()));
        self.owned.sort_unstable();
    }

    fn check_data(&self, table: u64) -> Result<(), Halt> {
        let Some(bytes) = self.image.affordable(table, self.fields.cluster_size())? else { return Ok(()) };
        let width = if self.fields.extended_l2() { 2 * ENTRY_BYTES } else { ENTRY_BYTES };
        for (entry, at) in entries(bytes, table, width) {
            if entry & COMPRESSED != 0 {
                let offset_bits = 62_u32.saturating_sub(self.fields.cluster_bits.saturating_sub(8));
                let target = entry & (1_u64 << offset_bits).saturating_sub(1);
                self.check_owner("L2 table", at, target)?;
            } else if entry & OFFSET_MASK != 0 {
                self.check_target("L2 table", at, entry & OFFSET_MASK)?;
            }
        }
        Ok(())
    }

    fn check_target(&self, what: &str, at: u64, target: u64) -> Result<(), Halt> {
        if !target.is_multiple_of(self.fields.cluster_size()) {
            return Err(malformed(at, format!("the {what} points to byte {target}, which is no cluster")));
        }
        self.check_owner(what, at, target)
    }

    fn check_owner(&self, what: &str, at: u64, target: u64) -> Result<(), Halt> {
        match self.owned.binary_search(&(target / self.fields.cluster_size())) {
            Ok(_) => {
                Err(malformed(at, format!("the {what} points to byte {target}, which holds other metadata")))
            }
            Err(_) => Ok(()),
        }
    }
}

/// The first eight bytes of each entry, with its position in the image.
fn entries(table: &[u8], offset: u64, width: u64) -> impl Iterator<Item = (u64, u64)> {
    let step = usize::try_from(width).unwrap_or(8);
    table.chunks_exact(step).zip(0_u64..).map(move |(entry, index)| {
        let number = entry.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
        (number, offset.saturating_add(index.saturating_mul(width)))
    })
}
