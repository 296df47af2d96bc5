//! Sizes: bytes, and the units in which documents write them.

use std::fmt;

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes(pub u64);

impl Bytes {
    /// The units that documents use, as messages list them.
    pub(crate) const UNITS: &'static [&'static str] =
        &["b", "bytes", "KB", "KiB", "MB", "MiB", "GB", "GiB", "TB", "TiB", "PB", "PiB", "EB", "EiB"];

    /// A number of KiB; saturates.
    pub fn from_kib(kib: u64) -> Self {
        Self(kib.saturating_mul(1024))
    }

    /// A number of MiB; saturates.
    pub fn from_mib(mib: u64) -> Self {
        Self(mib.saturating_mul(1024 * 1024))
    }

    /// Whole KiB, rounded up: how documents store memory.
    pub fn kib(self) -> u64 {
        self.0.div_ceil(1024)
    }

    /// Whole MiB, rounded up.
    pub fn mib(self) -> u64 {
        self.0.div_ceil(1024 * 1024)
    }

    /// How many bytes one `unit` is. Case does not matter; a bare letter means the power of 1024.
    pub fn unit(unit: &str) -> Option<u64> {
        let unit = unit.to_ascii_lowercase();
        if matches!(unit.as_str(), "b" | "byte" | "bytes") {
            return Some(1);
        }
        let mut letters = unit.chars();
        let power = "kmgtpe".find(letters.next()?)?;
        let base: u64 = match letters.as_str() {
            "" | "ib" => 1024,
            "b" => 1000,
            _ => return None,
        };
        base.checked_pow(u32::try_from(power).ok()? + 1)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, shift) in [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)] {
            let unit = 1_u64 << shift;
            if self.0 >= unit && self.0.is_multiple_of(unit) {
                return write!(f, "{} {name}", self.0 >> shift);
            }
        }
        write!(f, "{} bytes", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_powers_of_their_base() {
        assert_eq!(Bytes::unit("KiB"), Some(1024));
        assert_eq!(Bytes::unit("k"), Some(1024));
        assert_eq!(Bytes::unit("KB"), Some(1000));
        assert_eq!(Bytes::unit("GiB"), Some(1 << 30));
        assert_eq!(Bytes::unit("EiB"), Some(1 << 60));
        assert_eq!(Bytes::unit("bytes"), Some(1));
        assert_eq!(Bytes::unit("KX"), None);
        assert_eq!(Bytes::unit(""), None);
    }

    #[test]
    fn shown_in_the_largest_whole_unit() {
        assert_eq!(Bytes(3 << 20).to_string(), "3 MiB");
        assert_eq!(Bytes(1025).to_string(), "1025 bytes");
        assert_eq!(Bytes(1025).kib(), 2);
    }
}
