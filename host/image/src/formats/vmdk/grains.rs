//! Whether the tables of a sparse extent point into one another or out of it, as far as the budget reaches.

use super::SECTOR;
use super::sparse::{HEADER_BYTES, Sparse};
use crate::formats::areas::{Areas, numbers_le, table};
use crate::windows::{Halt, Windows};

/// Tables that are followed, for each takes a read.
const MAX_TABLES: usize = 64;
/// In a table with zeroed grains, an entry that means zeros.
const ZERO_GRAIN: u32 = 1;

pub(super) fn check(image: &Windows, sparse: &Sparse) -> Result<(), Halt> {
    if sparse.capacity == 0 {
        return Ok(());
    }
    let directory = sparse.directory_area();
    let mut areas = Areas::new(image);
    areas.own([0..HEADER_BYTES, directory.clone()])?;
    areas.own(sparse.descriptor.clone().into_iter().chain(sparse.redundant_area()))?;
    let Some(entries) = table(image, directory.clone())? else { return Ok(()) };
    let tables = numbers_le(entries, directory.start)
        .filter(|(sector, _)| *sector != 0)
        .map(|(sector, at)| areas.free("grain directory", at, byte(sector), sparse.table_bytes()))
        .collect::<Result<Vec<_>, _>>()?;
    areas.own(tables.iter().cloned())?;
    tables.into_iter().take(MAX_TABLES).try_for_each(|place| {
        let start = place.start;
        let Some(entries) = table(image, place)? else { return Ok(()) };
        let zeros = |sector: u32| sector == 0 || (sector == ZERO_GRAIN && sparse.has_zero_grains());
        numbers_le(entries, start)
            .filter(|(sector, _)| !zeros(*sector))
            .try_for_each(|(sector, at)| areas.free("grain table", at, byte(sector), SECTOR).map(|_| ()))
    })
}

fn byte(sector: u32) -> u64 {
    u64::from(sector).saturating_mul(SECTOR)
}
