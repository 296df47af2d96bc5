//! The stretches of an image that hold metadata, and whether what its tables point to stays clear of them.

use std::ops::Range;

use crate::windows::{Halt, Windows, malformed};

/// Stretches in bytes, in order once they are settled.
pub(super) struct Areas {
    length: u64,
    owned: Vec<Range<u64>>,
}

impl Areas {
    /// None, of this image.
    pub(super) fn new(image: &Windows) -> Self {
        Self { length: image.length(), owned: Vec::new() }
    }

    /// The same where what is pointed to may reach up to `bytes` behind the end.
    pub(super) fn with_slack(self, bytes: u64) -> Self {
        Self { length: self.length.saturating_add(bytes), ..self }
    }

    /// Adds stretches; they must not overlap each other or earlier ones. Empty ones do not count.
    pub(super) fn own(&mut self, areas: impl IntoIterator<Item = Range<u64>>) -> Result<(), Halt> {
        self.owned.extend(areas.into_iter().filter(|area| !area.is_empty()));
        self.owned.sort_unstable_by_key(|area| area.start);
        let mut pairs = self.owned.iter().zip(self.owned.iter().skip(1));
        match pairs.find(|(first, second)| second.start < first.end) {
            Some((_, second)) => Err(malformed(second.start, "two parts of the image overlap")),
            None => Ok(()),
        }
    }

    /// The stretch that the entry at `at` of the table `what` points to: in the image, and clear of metadata.
    pub(super) fn free(&self, what: &str, at: u64, start: u64, bytes: u64) -> Result<Range<u64>, Halt> {
        let Some(end) = start.checked_add(bytes).filter(|end| *end <= self.length) else {
            let message = format!("the {what} points to byte {start}, behind the end of the image");
            return Err(malformed(at, message));
        };
        let next = self.owned.partition_point(|area| area.end <= start);
        if self.owned.get(next).is_some_and(|area| area.start < end) {
            let message = format!("the {what} points to byte {start}, which holds other metadata");
            return Err(malformed(at, message));
        }
        Ok(start..end)
    }
}

/// Most bytes of a table that are looked at; what lies behind is left to the hypervisor.
const MAX_TABLE_BYTES: u64 = 1 << 20;

/// The bytes of a table, or of its beginning; nothing when the budget does not reach that far.
pub(super) fn table(image: &Windows, place: Range<u64>) -> Result<Option<&[u8]>, Halt> {
    image.affordable(place.start, place.end.saturating_sub(place.start).min(MAX_TABLE_BYTES))
}

/// The entries of a table of 32-bit numbers, lowest byte first, each with its position in the image.
pub(super) fn numbers_le(table: &[u8], offset: u64) -> impl Iterator<Item = (u32, u64)> {
    numbers(table, offset, u32::from_le_bytes)
}

/// The same with the highest byte first.
pub(super) fn numbers_be(table: &[u8], offset: u64) -> impl Iterator<Item = (u32, u64)> {
    numbers(table, offset, u32::from_be_bytes)
}

fn numbers(table: &[u8], offset: u64, order: fn([u8; 4]) -> u32) -> impl Iterator<Item = (u32, u64)> {
    let (entries, _) = table.as_chunks::<4>();
    let positions = (0_u64..).map(move |index| offset.saturating_add(index.saturating_mul(4)));
    entries.iter().map(move |entry| order(*entry)).zip(positions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_must_point_to_free_places_in_the_image() {
        let mut areas = Areas::new(&Windows::new(100));
        areas.own([50..60, 0..10, 70..70]).unwrap();
        assert_eq!(areas.free("table", 0, 10, 40).unwrap(), 10..50);
        for (start, bytes) in [(9, 2), (49, 2), (0, 100), (59, 1), (99, 2), (u64::MAX, 2)] {
            assert!(areas.free("table", 0, start, bytes).is_err(), "{start}");
        }
        assert!(areas.own(Some(5..6)).is_err());
    }

    #[test]
    fn numbers_are_read_in_either_order_with_their_positions() {
        let table = [0, 0, 0, 1, 2, 0, 0, 0, 9];
        assert_eq!(numbers_be(&table, 8).collect::<Vec<_>>(), [(1, 8), (0x0200_0000, 12)]);
        assert_eq!(numbers_le(&table, 8).collect::<Vec<_>>(), [(0x0100_0000, 8), (2, 12)]);
    }
}
