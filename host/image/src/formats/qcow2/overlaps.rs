//! Whether the tables of a qcow2 image point into one another or out of the file, as far as the read budget reaches.
//!
//! An image whose L1 table names itself as an L2 table lets a guest write its own metadata. Hypervisors look
//! for that while they write; an image from elsewhere is looked at once, before anyone opens it.

use std::ops::Range;

use super::entries::{self, ENTRY_BYTES, Target, entries, target};
use super::extensions::Extensions;
use super::fields::Fields;
use super::snapshots;
use crate::formats::areas::Areas;
use crate::windows::{Halt, Windows, malformed, too_complex};

#[cfg(test)]
mod tests;

/// Pieces of L2 tables that are looked at, for each takes a read.
const MAX_L2_PIECES: usize = 64;
/// Most bytes of such a piece, so that of large tables the beginning is looked at.
const L2_PIECE_BYTES: u64 = 64 << 10;
/// An image may grow to several times its disk, by snapshots and bitmaps; the refcounts up to there matter.
const GROWTH: u64 = 4;
/// What is looked at of the refcount table in any case: 16 TiB in clusters of the usual size.
const MIN_REFCOUNT_TABLE_BYTES: u64 = 64 << 10;

/// Checks every table that is there once, and as much of the L2 tables as the budget reaches; the rest is left to
/// the hypervisor, which checks each cluster that it writes against the metadata.
pub(super) fn check(image: &Windows, fields: &Fields, extensions: &Extensions) -> Result<(), Halt> {
    let roots = Roots::read(image, fields, extensions)?;
    let mut tables = Tables::new(image, fields);
    tables.own_all(&roots.places(fields, extensions))?;
    roots.fetch(image, fields)?;
    let blocks = tables.follow("refcount table", &roots.refcounts_used)?;
    tables.own(&blocks)?;
    let l2 = tables.l2(&roots)?;
    for table in &roots.bitmaps {
        let data = tables.bitmap_data(table)?;
        tables.own(&data)?;
    }
    // With an external data file, offsets in L2 tables are positions in that file.
    if fields.data_file() {
        return Ok(());
    }
    let pieces: Vec<_> = l2.iter().flat_map(pieces).take(MAX_L2_PIECES).collect();
    let reached = image.reach(&pieces);
    image.fetch(reached)?;
    reached.iter().try_for_each(|piece| tables.check_data(piece))
}

fn pieces(table: &Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let Range { start, end } = *table;
    let size = L2_PIECE_BYTES.min(end.saturating_sub(start));
    let count = end.saturating_sub(start) / size.max(1);
    (0..count).map(move |index| {
        let from = start.saturating_add(index.saturating_mul(size));
        from..from.saturating_add(size)
    })
}

/// The tables that nothing but the header and what it names leads to.
struct Roots {
    l1: Range<u64>,
    refcounts: Range<u64>,
    /// The beginning of the refcount table: what the image can grow into.
    refcounts_used: Range<u64>,
    snapshots: snapshots::Snapshots,
    bitmaps: Vec<Range<u64>>,
}

impl Roots {
    fn read(image: &Windows, fields: &Fields, extensions: &Extensions) -> Result<Self, Halt> {
        let place = |start: u64, bytes: u64| start..start.saturating_add(bytes);
        let l1_bytes = u64::from(fields.l1_entries).saturating_mul(ENTRY_BYTES);
        let refcount_bytes = u64::from(fields.refcount_table_clusters).saturating_mul(fields.cluster_size());
        // Where the bit is clear, a program that knows no bitmaps wrote last, and may have used their clusters.
        let directory = extensions.bitmaps.as_ref().filter(|_| fields.bitmaps_announced());
        Ok(Self {
            l1: place(fields.l1_offset, l1_bytes),
            refcounts: place(fields.refcount_table_offset, refcount_bytes),
            refcounts_used: place(
                fields.refcount_table_offset,
                refcount_bytes.min(used_bytes(image, fields)),
            ),
            snapshots: snapshots::read(image, fields)?,
            bitmaps: directory
                .map(|directory| directory.tables(image, fields))
                .transpose()?
                .unwrap_or_default(),
        })
    }

    /// Whatever holds metadata and has a place of its own.
    fn places(&self, fields: &Fields, extensions: &Extensions) -> Vec<Range<u64>> {
        let header = 0..fields.cluster_size();
        let mut places = vec![header, self.l1.clone(), self.refcounts.clone(), self.snapshots.table.clone()];
        places.extend(self.snapshots.l1.iter().chain(&self.bitmaps).cloned());
        if fields.bitmaps_announced() {
            places.extend(extensions.bitmaps.as_ref().map(|directory| directory.place.clone()));
        }
        let luks = extensions.luks_area.map(|area| area.start..area.start.saturating_add(area.length));
        places.extend(luks);
        places
    }

    /// Asks for all tables at once, or refuses the image where they are more than can be read.
    fn fetch(&self, image: &Windows, fields: &Fields) -> Result<(), Halt> {
        let mut tables = vec![self.refcounts_used.clone(), self.l1.clone()];
        tables
            .extend(self.snapshots.l1.iter().chain(&self.bitmaps).filter(|table| !table.is_empty()).cloned());
        let reached = image.reach(&tables);
        match tables.get(reached.len()) {
            None => image.fetch(reached),
            Some(table) => Err(self.too_large(table, fields)),
        }
    }

    fn too_large(&self, table: &Range<u64>, fields: &Fields) -> Halt {
        let size = format!(
            "its tables are too large to be looked at; it has {} bytes of L1 table",
            self.l1.end.saturating_sub(self.l1.start)
        );
        let message = format!(
            "{size} for a disk of {} bytes, {} snapshots and {} bitmaps",
            fields.size,
            self.snapshots.l1.len(),
            self.bitmaps.len()
        );
        too_complex(table.start, message)
    }
}

/// Bytes of the refcount table for everything that the image may ever become.
fn used_bytes(image: &Windows, fields: &Fields) -> u64 {
    let reach = image.length().max(fields.size).saturating_mul(GROWTH);
    let covered = fields.cluster_size().saturating_mul(fields.refcounts_per_block());
    reach.div_ceil(covered.max(1)).saturating_mul(ENTRY_BYTES).max(MIN_REFCOUNT_TABLE_BYTES)
}

/// What holds metadata, so that no entry may point there.
struct Tables<'a> {
    image: &'a Windows,
    fields: &'a Fields,
    areas: Areas,
}

impl<'a> Tables<'a> {
    fn new(image: &'a Windows, fields: &'a Fields) -> Self {
        // The last cluster may be cut off: QEMU takes what is less than a cluster behind the end for zeros.
        let areas = Areas::new(image).with_slack(fields.cluster_size().saturating_sub(1));
        Self { image, fields, areas }
    }

    /// These hold metadata, in whole clusters.
    fn own_all(&mut self, places: &[Range<u64>]) -> Result<(), Halt> {
        let cluster = self.fields.cluster_size();
        let whole = |place: &Range<u64>| {
            let start = place.start.saturating_sub(place.start % cluster);
            start..place.end.checked_next_multiple_of(cluster).unwrap_or(u64::MAX)
        };
        self.areas.own(places.iter().filter(|place| !place.is_empty()).map(whole))
    }

    /// From now on the clusters at these offsets hold metadata too.
    fn own(&mut self, clusters: &[u64]) -> Result<(), Halt> {
        let places: Vec<_> = clusters.iter().map(|start| self.cluster(*start)).collect();
        self.areas.own(places)
    }

    fn cluster(&self, start: u64) -> Range<u64> {
        start..start.saturating_add(self.fields.cluster_size())
    }

    /// Where all L2 tables lie, those of the disk before those of snapshots; they may share them.
    fn l2(&mut self, roots: &Roots) -> Result<Vec<Range<u64>>, Halt> {
        let mut active = self.follow("L1 table", &roots.l1)?;
        let mut inactive = Vec::new();
        for table in &roots.snapshots.l1 {
            inactive.extend(self.follow("L1 table of a snapshot", table)?);
        }
        inactive.retain(|table| active.binary_search(table).is_err());
        inactive.sort_unstable();
        inactive.dedup();
        active.extend(inactive);
        self.own(&active)?;
        Ok(active.into_iter().map(|start| self.cluster(start)).collect())
    }

    /// Where the entries of a table point to, in order and each once: to whole clusters in the file, for tables
    /// are written as a whole.
    fn follow(&self, what: &str, table: &Range<u64>) -> Result<Vec<u64>, Halt> {
        let mut targets = Vec::new();
        for (entry, at) in entries(self.bytes(table)?, table.start, ENTRY_BYTES) {
            let Some(start) = self.check_cluster(what, at, entry)? else { continue };
            if self.cluster(start).end > self.image.length() {
                let message =
                    format!("the {what} points to byte {start}, behind which the image has no whole cluster");
                return Err(malformed(at, message));
            }
            targets.push(start);
        }
        targets.sort_unstable();
        targets.dedup();
        Ok(targets)
    }

    /// Where the bits of a bitmap lie.
    fn bitmap_data(&self, table: &Range<u64>) -> Result<Vec<u64>, Halt> {
        let mut targets = Vec::new();
        for (entry, at) in entries(self.bytes(table)?, table.start, ENTRY_BYTES) {
            targets.extend(self.check_cluster("table of a bitmap", at, entry)?);
        }
        Ok(targets)
    }

    fn check_data(&self, table: &Range<u64>) -> Result<(), Halt> {
        let width = if self.fields.extended_l2() { 2 * ENTRY_BYTES } else { ENTRY_BYTES };
        for (entry, at) in entries(self.bytes(table)?, table.start, width) {
            match target(entry, self.fields.cluster_bits) {
                Target::Compressed(place) => {
                    let bytes = place.end.saturating_sub(place.start);
                    self.areas.free("L2 table", at, place.start, bytes)?;
                }
                Target::Cluster(_) => self.check_cluster("L2 table", at, entry).map(|_| ())?,
                Target::Nothing => {}
            }
        }
        Ok(())
    }

    /// The cluster that an entry names, if it does: aligned, and clear of metadata.
    fn check_cluster(&self, what: &str, at: u64, entry: u64) -> Result<Option<u64>, Halt> {
        let Some(start) = entries::cluster(entry) else { return Ok(None) };
        if !start.is_multiple_of(self.fields.cluster_size()) {
            return Err(malformed(at, format!("the {what} points to byte {start}, which is no cluster")));
        }
        self.areas.free(what, at, start, self.fields.cluster_size())?;
        Ok(Some(start))
    }

    fn bytes(&self, table: &Range<u64>) -> Result<&'a [u8], Halt> {
        let length = table.end.saturating_sub(table.start);
        self.image.bytes(table.start, usize::try_from(length).unwrap_or(usize::MAX))
    }
}
