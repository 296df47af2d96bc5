//! A file in pieces, for images whose structures lie far apart: changed in places, its checksums right if a case wants.

use std::ops::Range;

use arbitrary::Arbitrary;

/// Structures and where they stand; between them are zeros.
#[derive(Debug, Clone, Default)]
pub struct Pieces {
    parts: Vec<(u64, Vec<u8>)>,
    sums: Vec<Sum>,
    /// Its length in bytes.
    pub length: u64,
}

/// A checksum over a stretch that lies in one piece.
#[derive(Debug, Clone)]
struct Sum {
    over: Range<u64>,
    at: u64,
    of: fn(&[u8]) -> [u8; 4],
}

/// What is wrong with an image, if anything.
#[derive(Debug, Clone, Arbitrary)]
pub struct Harm {
    /// Piece, offset in it, and the byte that is put there.
    patches: Vec<(u8, u16, u8)>,
    /// Bytes that are missing at the end; the lower half of the range is none.
    missing: u16,
    /// Whether checksums are left as they were before.
    unsummed: bool,
}

impl Pieces {
    /// Zeros.
    #[must_use]
    pub fn new(length: u64) -> Self {
        Self { length, ..Self::default() }
    }

    /// Adds a piece of zeros.
    #[must_use]
    pub fn piece(mut self, at: u64, length: usize) -> Self {
        self.parts.push((at, vec![0; length]));
        self
    }

    /// Overwrites bytes of the piece that has them.
    ///
    /// # Panics
    /// When no piece does.
    #[must_use]
    pub fn put(mut self, at: u64, bytes: &[u8]) -> Self {
        self.slice(at, bytes.len()).expect("a piece is there").copy_from_slice(bytes);
        self
    }

    /// The stretch carries a checksum at `at`, over itself with zeros there.
    #[must_use]
    pub fn summed(mut self, over: Range<u64>, at: u64, of: fn(&[u8]) -> [u8; 4]) -> Self {
        self.sums.push(Sum { over, at, of });
        self
    }

    /// The finished image.
    #[must_use]
    pub fn harmed(mut self, harm: &Harm) -> Self {
        if harm.unsummed {
            self = self.with_sums();
        }
        for (piece, offset, byte) in &harm.patches {
            let count = self.parts.len().max(1);
            if let Some((_, bytes)) = self.parts.get_mut(usize::from(*piece) % count) {
                let at = usize::from(*offset) % bytes.len();
                bytes[at] = *byte;
            }
        }
        if !harm.unsummed {
            self = self.with_sums();
        }
        self.length = self.length.saturating_sub(u64::from(harm.missing.saturating_sub(1 << 15)));
        self
    }

    /// With every checksum right.
    #[must_use]
    pub fn with_sums(mut self) -> Self {
        for Sum { over, at, of } in self.sums.clone() {
            let length = usize::try_from(over.end - over.start).expect("a structure is small");
            self = self.put(at, &[0; 4]);
            let sum = of(self.slice(over.start, length).expect("a piece is there"));
            self = self.put(at, &sum);
        }
        self
    }

    /// The bytes from `offset` that the file has, at most `count`.
    #[must_use]
    pub fn read(&self, offset: u64, count: usize) -> Vec<u8> {
        let left = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut read = vec![0; count.min(left)];
        for (at, bytes) in &self.parts {
            let start = offset.max(*at);
            let end = (offset + u64::try_from(read.len()).expect("it fits"))
                .min(at + u64::try_from(bytes.len()).expect("it fits"));
            if start < end {
                let place = |base: u64| usize::try_from(start - base).expect("it is within");
                let length = usize::try_from(end - start).expect("it is within");
                read[place(offset)..][..length].copy_from_slice(&bytes[place(*at)..][..length]);
            }
        }
        read
    }

    fn slice(&mut self, at: u64, length: usize) -> Option<&mut [u8]> {
        self.parts.iter_mut().find_map(|(start, bytes)| {
            let from = usize::try_from(at.checked_sub(*start)?).ok()?;
            bytes.get_mut(from..from.checked_add(length)?)
        })
    }
}

/// The first bytes of an image, and zeros behind them.
impl From<&[u8]> for Pieces {
    fn from(bytes: &[u8]) -> Self {
        let length = u64::try_from(bytes.len()).expect("it is in memory");
        Self { parts: vec![(0, bytes.to_vec())], sums: Vec::new(), length }
    }
}
