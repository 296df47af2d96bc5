//! Sizes as operators write them: `10GiB`, `512M`, `4096`.

use clap::ValueEnum;
use hostler_domains::{Bytes, Preallocation, Resize};

/// What follows the number, as messages list it.
const UNITS: &str = "B, KiB, MiB, GiB, TiB (or K, M, G, T), and KB, MB, GB, TB in powers of 1000";

/// Reads a size in bytes. A bare number is bytes; a decimal point is fine where whole bytes come out.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim();
    let scale = match unit {
        "" => 1,
        unit => Bytes::unit(unit).ok_or_else(|| format!("'{unit}' is no unit of size; units are {UNITS}"))?,
    };
    let wrong = || format!("expected a size such as 10GiB or 512M, with one of the units {UNITS}");
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let whole: u64 = whole.parse().map_err(|_| wrong())?;
    let bytes = whole.checked_mul(scale).and_then(|bytes| bytes.checked_add(fraction(part, scale)?));
    if !part.chars().all(|c| c.is_ascii_digit()) {
        return Err(wrong());
    }
    bytes.ok_or_else(|| "no disk is that large, or the size is no whole number of bytes".to_owned())
}

/// The bytes behind the point; nothing where they are not whole.
fn fraction(digits: &str, scale: u64) -> Option<u64> {
    if digits.is_empty() {
        return Some(0);
    }
    let power = 10_u64.checked_pow(u32::try_from(digits.len()).ok()?)?;
    let product = digits.parse::<u64>().ok()?.checked_mul(scale)?;
    product.is_multiple_of(power).then_some(product / power)
}

/// Reads a new size: with `+` or `-` in front it is added or taken off.
pub(crate) fn parse_change(text: &str) -> Result<Resize, String> {
    match text.split_at_checked(1) {
        Some(("+", more)) => parse(more).map(Resize::By),
        Some(("-", less)) => parse(less).map(Resize::LessBy),
        _ => parse(text).map(Resize::To),
    }
}

/// How much of a new image is set aside at once.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum SetAside {
    /// As little as possible
    Off,
    /// The tables of the format
    Metadata,
    /// The tables, and room for all data
    Falloc,
}

impl From<SetAside> for Preallocation {
    fn from(given: SetAside) -> Self {
        match given {
            SetAside::Off => Self::Off,
            SetAside::Metadata => Self::Metadata,
            SetAside::Falloc => Self::Falloc,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_make_a_difference() {
        assert_eq!(parse_change("1K"), Ok(Resize::To(1024)));
        assert_eq!(parse_change("+1K"), Ok(Resize::By(1024)));
        assert_eq!(parse_change("-1K"), Ok(Resize::LessBy(1024)));
        assert!(parse_change("").is_err() && parse_change("+").is_err() && parse_change("é").is_err());
    }

    #[test]
    fn sizes_are_read_with_their_units() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("4096B", 4096),
            ("1k", 1024),
            ("512M", 512 << 20),
            ("10 GiB", 10 << 30),
            ("1GB", 1_000_000_000),
            ("1.5GiB", 3 << 29),
            ("2TiB", 2 << 40),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_says_what_is() {
        for text in ["", "G", "-1G", "ten", "1..5G", "0.3B", "99999999999G", "1.x"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse("10Gb2").unwrap_err().contains("'Gb2' is no unit"), "{:?}", parse("10Gb2"));
    }
}
