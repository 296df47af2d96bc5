//! Names of storage pools and volumes.

use std::fmt;

use crate::identity::plain_file_name;

/// The name of a pool, or of a volume that is to be made: one plain file name that no program takes for an option.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorageName(String);

impl StorageName {
    /// Takes a text as a name.
    ///
    /// # Errors
    /// What is wrong with it: empty, too long, `/`, a control character, a leading `-`, `.` or `..`.
    pub fn parse(name: &str) -> Result<Self, &'static str> {
        if name.starts_with('-') {
            return Err("begins with '-', which programs take for an option");
        }
        Self::existing(name)
    }

    /// Takes the name of something that is there already; it may begin with `-`.
    ///
    /// # Errors
    /// As [`StorageName::parse`].
    pub fn existing(name: &str) -> Result<Self, &'static str> {
        plain_file_name(name).map(|()| Self(name.to_owned()))
    }

    /// The name as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StorageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_file_names() {
        for good in ["a", "a b", "disk.qcow2", "unit:0:0:1", "größe", "a..b", ".hidden"] {
            assert_eq!(StorageName::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", " ", "a/b", "/a", "..", ".", "a\nb", "a\0", "-o", &"x".repeat(256)] {
            assert!(StorageName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_is_there_may_look_like_an_option() {
        assert!(StorageName::existing("-o").is_ok());
        assert!(StorageName::existing("../x").is_err());
    }
}
