//! The bytes of an image that its parser has asked for so far.

use std::collections::VecDeque;
use std::ops::Range;

use crate::error::{ErrorKind, ImageError};

/// Bytes that may be read of one image to understand its header.
pub const READ_BUDGET: u64 = 2 << 20;

/// Bytes read at first: enough for nearly every header with its names, and a single page.
const FIRST_WINDOW: u64 = 4096;

/// A stretch of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    /// First byte.
    pub offset: u64,
    /// Length in bytes, never 0.
    pub length: usize,
}

/// Why a parser stopped before its end.
#[derive(Debug)]
pub(crate) enum Halt {
    /// It needs all of these bytes; supply them and run it again from the start.
    Need(Vec<ByteRange>),
    /// The image is refused.
    Fault(ImageError),
}

impl From<ImageError> for Halt {
    fn from(error: ImageError) -> Self {
        Self::Fault(error)
    }
}

/// Builds the refusal of a header that breaks a rule.
pub(crate) fn malformed(offset: u64, message: impl Into<String>) -> Halt {
    Halt::Fault(ImageError::new(ErrorKind::Malformed, message).at(offset))
}

/// Builds the refusal of an image that may be sound, but takes more reading than the budget to find out.
pub(crate) fn too_complex(offset: u64, message: impl Into<String>) -> Halt {
    Halt::Fault(ImageError::new(ErrorKind::TooComplex, message).at(offset))
}

/// Builds the refusal of a header that is sound, but asks for what is not supported.
pub(crate) fn unsupported(offset: u64, message: impl Into<String>) -> Halt {
    Halt::Fault(ImageError::new(ErrorKind::Unsupported, message).at(offset))
}

/// What is held of an image of known length. Parsers see the image only through this.
#[derive(Debug)]
pub(crate) struct Windows {
    length: u64,
    asked: u64,
    held: Vec<(u64, Vec<u8>)>,
}

impl Windows {
    pub(crate) fn new(length: u64) -> Self {
        Self { length, asked: 0, held: Vec::new() }
    }

    /// Length of the whole image in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Where the last `count` bytes start, if there are as many.
    pub(crate) fn before_end(&self, count: u64) -> Option<u64> {
        self.length.checked_sub(count)
    }

    /// The bytes at `offset`, or the request for them, or the refusal when the image ends before.
    ///
    /// Beyond the first page a request is exact, so ask for a whole structure before reading its fields.
    pub(crate) fn bytes(&self, offset: u64, length: usize) -> Result<&[u8], Halt> {
        let span = u64::try_from(length).unwrap_or(u64::MAX);
        let Some(end) = offset.checked_add(span).filter(|end| *end <= self.length) else {
            let message = format!("{length} bytes wanted, but the image has {} bytes", self.length);
            return Err(ImageError::new(ErrorKind::Truncated, message).at(offset).into());
        };
        if length == 0 {
            return Ok(&[]);
        }
        self.find(offset, length).ok_or_else(|| Halt::Need(vec![self.request(offset, length, end)]))
    }

    /// The bytes at `offset` like [`Windows::bytes`], or nothing when the budget does not reach that far.
    pub(crate) fn affordable(&self, offset: u64, length: u64) -> Result<Option<&[u8]>, Halt> {
        let size = usize::try_from(length).unwrap_or(usize::MAX);
        let held = self.find(offset, size).is_some();
        if held || self.asked.saturating_add(length) <= READ_BUDGET {
            return self.bytes(offset, size).map(Some);
        }
        Ok(None)
    }

    /// The first of these places, as many as the budget reaches; those that are held cost nothing.
    pub(crate) fn reach<'p>(&self, places: &'p [Range<u64>]) -> &'p [Range<u64>] {
        let mut spent = self.asked;
        let count = places.iter().take_while(|place| {
            let length = place.end.saturating_sub(place.start);
            if self.find(place.start, usize::try_from(length).unwrap_or(usize::MAX)).is_none() {
                spent = spent.saturating_add(length);
            }
            spent <= READ_BUDGET
        });
        places.get(..count.count()).unwrap_or_default()
    }

    /// Asks for all of these places at once where some are not held, so that the parser is run again only once.
    pub(crate) fn fetch(&self, places: &[Range<u64>]) -> Result<(), Halt> {
        let mut missing = Vec::new();
        for place in places {
            let length = place.end.saturating_sub(place.start);
            match self.bytes(place.start, usize::try_from(length).unwrap_or(usize::MAX)) {
                Err(Halt::Need(ranges)) => missing.extend(ranges),
                other => other.map(|_| ())?,
            }
        }
        missing.dedup();
        if missing.is_empty() { Ok(()) } else { Err(Halt::Need(missing)) }
    }

    pub(crate) fn u8(&self, offset: u64) -> Result<u8, Halt> {
        Ok(self.array::<1>(offset)?[0])
    }

    pub(crate) fn u16_be(&self, offset: u64) -> Result<u16, Halt> {
        self.array(offset).map(u16::from_be_bytes)
    }

    pub(crate) fn u16_le(&self, offset: u64) -> Result<u16, Halt> {
        self.array(offset).map(u16::from_le_bytes)
    }

    pub(crate) fn u32_be(&self, offset: u64) -> Result<u32, Halt> {
        self.array(offset).map(u32::from_be_bytes)
    }

    pub(crate) fn u32_le(&self, offset: u64) -> Result<u32, Halt> {
        self.array(offset).map(u32::from_le_bytes)
    }

    pub(crate) fn u64_be(&self, offset: u64) -> Result<u64, Halt> {
        self.array(offset).map(u64::from_be_bytes)
    }

    pub(crate) fn u64_le(&self, offset: u64) -> Result<u64, Halt> {
        self.array(offset).map(u64::from_le_bytes)
    }

    /// Charges a request to the budget.
    fn charge(&mut self, range: ByteRange) -> Result<(), ImageError> {
        let span = u64::try_from(range.length).unwrap_or(u64::MAX);
        self.asked = self.asked.saturating_add(span);
        if self.asked <= READ_BUDGET {
            return Ok(());
        }
        let message = format!("its header needs more than {READ_BUDGET} bytes to be understood");
        Err(ImageError::new(ErrorKind::TooComplex, message).at(range.offset))
    }

    /// Takes the bytes of a range that was asked for.
    fn admit(&mut self, offset: u64, bytes: Vec<u8>) {
        self.held.push((offset, bytes));
    }

    fn array<const N: usize>(&self, offset: u64) -> Result<[u8; N], Halt> {
        let bytes = self.bytes(offset, N)?;
        // `bytes` has length N by construction, so the fallback is never taken.
        Ok(bytes.try_into().unwrap_or([0; N]))
    }

    fn find(&self, offset: u64, length: usize) -> Option<&[u8]> {
        self.held.iter().find_map(|(start, bytes)| {
            let from = usize::try_from(offset.checked_sub(*start)?).ok()?;
            bytes.get(from..from.checked_add(length)?)
        })
    }

    fn request(&self, offset: u64, length: usize, end: u64) -> ByteRange {
        if end > FIRST_WINDOW {
            return ByteRange { offset, length };
        }
        let window = FIRST_WINDOW.min(self.length);
        ByteRange { offset: 0, length: usize::try_from(window).unwrap_or(length) }
    }
}

/// Something that reads an image: the bytes it holds and those it waits for.
#[derive(Debug)]
pub(crate) struct Reading {
    windows: Windows,
    pending: VecDeque<ByteRange>,
}

/// How far a run of a parser came.
pub(crate) enum Ran<T> {
    /// It needs these bytes.
    Need(ByteRange),
    /// It came to its end.
    Done(T),
}

impl Reading {
    /// Of an image of `length` bytes, none of which is held.
    pub(crate) fn new(length: u64) -> Self {
        Self { windows: Windows::new(length), pending: VecDeque::new() }
    }

    /// Runs a parser from its start over the bytes at hand.
    pub(crate) fn run<T>(
        &mut self,
        parse: impl FnOnce(&Windows) -> Result<T, Halt>,
    ) -> Result<Ran<T>, ImageError> {
        if let Some(range) = self.pending.front().copied() {
            return Ok(Ran::Need(range));
        }
        match parse(&self.windows) {
            Ok(found) => Ok(Ran::Done(found)),
            Err(Halt::Fault(error)) => Err(error),
            Err(Halt::Need(ranges)) => {
                ranges.iter().try_for_each(|range| self.windows.charge(*range))?;
                self.pending.extend(ranges);
                self.pending.front().map(|range| Ran::Need(*range)).ok_or_else(|| {
                    ImageError::new(ErrorKind::InvalidRequest, "a parser waits, but for no bytes")
                })
            }
        }
    }

    /// Takes the bytes that a run asked for.
    pub(crate) fn supply(&mut self, bytes: Vec<u8>) -> Result<(), ImageError> {
        let Some(range) = self.pending.pop_front() else {
            return Err(ImageError::new(
                ErrorKind::InvalidRequest,
                "bytes were supplied that nobody asked for",
            ));
        };
        if bytes.len() != range.length {
            let message = format!("{} of {} bytes could be read", bytes.len(), range.length);
            return Err(ImageError::new(ErrorKind::Truncated, message).at(range.offset));
        }
        self.windows.admit(range.offset, bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_request_is_one_page_and_later_ones_are_exact() {
        let windows = Windows::new(10_000);
        assert!(
            matches!(windows.u32_be(8), Err(Halt::Need(ranges)) if ranges == [ByteRange { offset: 0, length: 4096 }])
        );
        assert!(
            matches!(windows.u32_be(4094), Err(Halt::Need(ranges)) if ranges == [ByteRange { offset: 4094, length: 4 }])
        );
    }

    #[test]
    fn held_bytes_are_found_and_the_end_is_respected() {
        let mut windows = Windows::new(8);
        windows.admit(0, vec![0, 0, 0, 7, 1, 2, 3, 4]);
        assert_eq!(windows.u32_be(0).unwrap(), 7);
        assert!(matches!(windows.u64_be(1), Err(Halt::Fault(error)) if error.kind() == ErrorKind::Truncated));
        assert!(matches!(windows.u64_be(u64::MAX), Err(Halt::Fault(_))));
    }

    #[test]
    fn numbers_are_read_in_either_order() {
        let mut windows = Windows::new(8);
        windows.admit(0, vec![1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!((windows.u16_be(0).unwrap(), windows.u16_le(0).unwrap()), (0x0102, 0x0201));
        assert_eq!(
            (windows.u32_le(0).unwrap(), windows.u64_le(0).unwrap()),
            (0x0403_0201, 0x0807_0605_0403_0201)
        );
    }

    #[test]
    fn the_budget_ends_a_header_that_asks_for_too_much() {
        let mut windows = Windows::new(u64::MAX);
        windows.charge(ByteRange { offset: 0, length: 2 << 20 }).unwrap();
        let error = windows.charge(ByteRange { offset: 9, length: 1 }).unwrap_err();
        assert_eq!((error.code(), error.offset()), ("image.too-complex", Some(9)));
    }

    #[test]
    fn several_places_are_asked_for_at_once_as_far_as_the_budget_reaches() {
        let places = [8192..8193, 0..4, 1 << 20..3 << 20, 9000..9001];
        let mut reading = Reading::new(4 << 20);
        let wanted = |image: &Windows| image.reach(&places).to_vec();
        assert_eq!(wanted(&reading.windows), places[..2]);
        let mut runs = 0;
        for range in [(8192, 1), (0, 4096)] {
            let ran = reading.run(|image| {
                runs += 1;
                image.fetch(image.reach(&places))
            });
            let asked = ByteRange { offset: range.0, length: range.1 };
            assert!(matches!(ran.unwrap(), Ran::Need(need) if need == asked));
            reading.supply(vec![0; range.1]).unwrap();
        }
        assert!(matches!(reading.run(|image| image.fetch(image.reach(&places))).unwrap(), Ran::Done(())));
        assert_eq!((runs, wanted(&reading.windows)), (1, places[..2].to_vec()), "it still does not reach on");
    }
}
