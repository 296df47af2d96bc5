//! Who a domain is: its name and its UUID.

use std::fmt;

/// Longest domain name, in bytes: what a file name can hold on Linux.
pub const MAX_NAME_BYTES: usize = 255;

/// Refuses what is no plain file name of one line.
pub(crate) fn plain_file_name(name: &str) -> Result<(), &'static str> {
    if name.trim().is_empty() {
        return Err("is empty");
    }
    if name.len() > MAX_NAME_BYTES {
        return Err("is longer than 255 bytes");
    }
    if name.contains('/') {
        return Err("contains '/'");
    }
    if name.chars().any(char::is_control) {
        return Err("contains a line end or another control character");
    }
    if matches!(name, "." | "..") {
        return Err("is '.' or '..'");
    }
    Ok(())
}

/// The name of a domain: usable as a file name, one line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainName(String);

impl DomainName {
    /// Takes a text as a name.
    ///
    /// # Errors
    /// What is wrong with it: empty, too long, `/`, a control character, `.` or `..`.
    pub fn parse(name: &str) -> Result<Self, &'static str> {
        plain_file_name(name).map(|()| Self(name.to_owned()))
    }

    /// The name as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The UUID of a domain; never all zeros or all ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainUuid([u8; 16]);

impl DomainUuid {
    /// Reads 32 hexadecimal digits; dashes may stand between bytes.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let mut bytes = [0; 16];
        let mut digits = text.trim();
        for byte in &mut bytes {
            digits = digits.strip_prefix('-').unwrap_or(digits);
            let pair = digits.get(..2).filter(|pair| pair.bytes().all(|digit| digit.is_ascii_hexdigit()));
            let pair = pair.ok_or("is not a UUID of 32 hexadecimal digits")?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| "is not a UUID of 32 hexadecimal digits")?;
            digits = digits.get(2..).unwrap_or("");
        }
        if !digits.is_empty() || text.trim().starts_with('-') {
            return Err("is not a UUID of 32 hexadecimal digits");
        }
        Self::from_bytes(bytes).ok_or("is all zeros or all ones; such a UUID identifies nothing")
    }

    /// Takes sixteen bytes, such as random ones; none when they are all zeros or all ones.
    pub fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        (bytes != [0; 16] && bytes != [u8::MAX; 16]).then_some(Self(bytes))
    }

    /// The sixteen bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for DomainUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            let dash = if matches!(place, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{dash}{byte:02x}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_must_be_file_names() {
        assert_eq!(DomainName::parse("a b, c").unwrap().as_str(), "a b, c");
        for bad in ["", " ", "a/b", "a\nb", ".", "..", &"x".repeat(256)] {
            assert!(DomainName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn uuids_with_and_without_dashes() {
        let dashed = DomainUuid::parse("c7a5fdbd-edaf-9455-926a-d65c16db1809").unwrap();
        assert_eq!(DomainUuid::parse("C7A5FDBDEDAF9455926AD65C16DB1809").unwrap(), dashed);
        assert_eq!(dashed.to_string(), "c7a5fdbd-edaf-9455-926a-d65c16db1809");
        // Programs that test hosts use such ones.
        assert!(DomainUuid::parse("11111111-1111-1111-1111-111111111111").is_ok());
        let zero = "00000000-0000-0000-0000-000000000000";
        for bad in [zero, "ffffffffffffffffffffffffffffffff", "c7a5", "", "é7a5fdbdedaf9455926ad65c16db1809"]
        {
            assert!(DomainUuid::parse(bad).is_err(), "{bad:?}");
        }
        assert!(DomainUuid::parse("c7a5fdbd-edaf-9455-926a-d65c16db18090").is_err());
    }
}
