//! Whether the tables of a sparse extent point into one another or out of it, as far as the budget reaches.

use std::ops::Range;

use super::SECTOR;
use super::sparse::{HEADER_BYTES, Sparse};
use crate::windows::{Halt, Windows, malformed};

/// Tables that are followed, for each takes a read.
const MAX_TABLES: usize = 64;
const ENTRY_BYTES: u64 = 4;
/// In a table with zeroed grains, an entry that means zeros.
const ZERO_GRAIN: u32 = 1;

pub(super) fn check(image: &Windows, sparse: &Sparse) -> Result<(), Halt> {
    if sparse.capacity == 0 {
        return Ok(());
    }
    let mut areas = Areas { length: image.length(), owned: vec![0..HEADER_BYTES, sparse.directory_area()] };
    areas.owned.extend(sparse.descriptor.clone());
    areas.owned.extend(sparse.redundant_area());
    areas.check_apart()?;
    let directory = sparse.directory_area();
    let bytes = directory.end.saturating_sub(directory.start);
    let Some(entries) = image.affordable(directory.start, bytes)? else { return Ok(()) };
    let mut tables = Vec::new();
    for (sector, at) in numbers(entries, directory.start).filter(|(sector, _)| *sector != 0) {
        let table = areas.free("grain directory", at, sector, sparse.table_bytes())?;
        tables.push(table);
    }
    areas.owned.extend(tables.iter().cloned());
    areas.owned.sort_unstable_by_key(|area| area.start);
    tables.iter().take(MAX_TABLES).try_for_each(|table| {
        let Some(entries) = image.affordable(table.start, sparse.table_bytes())? else { return Ok(()) };
        let zeros = |sector: u32| sector == 0 || (sector == ZERO_GRAIN && sparse.has_zero_grains());
        numbers(entries, table.start)
            .filter(|(sector, _)| !zeros(*sector))
            .try_for_each(|(sector, at)| areas.free("grain table", at, sector, SECTOR).map(|_| ()))
    })
}

/// The stretches of the image that hold metadata.
struct Areas {
    length: u64,
    owned: Vec<Range<u64>>,
}

impl Areas {
    /// Puts the stretches in order; they must not overlap.
    fn check_apart(&mut self) -> Result<(), Halt> {
        self.owned.sort_unstable_by_key(|area| area.start);
        let mut pairs = self.owned.iter().zip(self.owned.iter().skip(1));
        match pairs.find(|(first, second)| second.start < first.end) {
            Some((_, second)) => Err(malformed(second.start, "two parts of its metadata overlap")),
            None => Ok(()),
        }
    }

    /// The stretch that an entry points to, which must lie in the image and hold nothing else.
    fn free(&self, what: &str, at: u64, sector: u32, bytes: u64) -> Result<Range<u64>, Halt> {
        let start = u64::from(sector).saturating_mul(SECTOR);
        let end = start.saturating_add(bytes);
        if end > self.length {
            let message = format!("the {what} points to byte {start}, behind the end of the image");
            return Err(malformed(at, message));
        }
        let next = self.owned.partition_point(|area| area.end <= start);
        if self.owned.get(next).is_some_and(|area| area.start < end) {
            let message = format!("the {what} points to byte {start}, which holds other metadata");
            return Err(malformed(at, message));
        }
        Ok(start..end)
    }
}

/// The entries of a table, each with its position in the image.
fn numbers(table: &[u8], offset: u64) -> impl Iterator<Item = (u32, u64)> {
    table.chunks_exact(4).zip(0_u64..).map(move |(entry, index)| {
        let number = entry.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte));
        (number, offset.saturating_add(index.saturating_mul(ENTRY_BYTES)))
    })
}
