//! Versions of the contract: which drivers this host can run.

use crate::error::{GrantError, Kind, shown};

/// The version of `hostler:host` and `hostler:driver` that this host offers.
pub const CONTRACT_VERSION: &str = "0.1.1";

/// Below 1.0 the middle number breaks compatibility, from 1.0 on the first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32, u32);

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('.').map(number);
        let version = Self(numbers.next()??, numbers.next()??, numbers.next()??);
        numbers.next().is_none().then_some(version)
    }

    fn line(self) -> (u32, u32) {
        (self.0, if self.0 == 0 { self.1 } else { 0 })
    }

    /// A driver runs on its own line, on the version it was made for or a later one.
    fn runs_on(self, offered: Self) -> bool {
        self.line() == offered.line() && self <= offered
    }
}

fn number(text: &str) -> Option<u32> {
    // `parse` alone would take "+1" and "01".
    let canonical =
        text == "0" || text.bytes().next().is_some_and(|first| first.is_ascii_digit() && first != b'0');
    text.parse().ok().filter(|_| canonical)
}

/// Refuses a driver that was made for a contract that this host does not offer.
///
/// # Errors
/// [`Kind::ContractVersion`] with both versions and what to do, or [`Kind::ManifestInvalid`] when `needed`
/// is no version.
pub fn check_contract(needed: &str) -> Result<(), GrantError> {
    check(needed, CONTRACT_VERSION)
}

fn check(needed: &str, offered: &str) -> Result<(), GrantError> {
    let (Some(need), Some(offer)) = (Version::parse(needed), Version::parse(offered)) else {
        return Err(GrantError::new(
            Kind::ManifestInvalid,
            format!("contract version '{}' is not three numbers, like '{offered}'", shown(needed)),
            "rebuild the driver with a released SDK",
        ));
    };
    if need.runs_on(offer) {
        return Ok(());
    }
    let hint = if need > offer {
        format!("update hostler, or install a build of the driver for contract {offered}")
    } else {
        format!("install a newer version of the driver, built for contract {offered}")
    };
    let message = format!("driver needs contract {needed}, host offers {offered}");
    Err(GrantError::new(Kind::ContractVersion, message, hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_line_up_to_the_offered_version_runs() {
        for (needed, offered, runs) in [
            ("0.1.0", "0.1.0", true),
            ("0.1.0", "0.1.3", true),
            ("0.1.4", "0.1.3", false),
            ("0.1.0", "0.2.0", false),
            ("0.3.0", "0.2.0", false),
            ("1.2.0", "1.3.0", true),
            ("1.4.0", "1.3.9", false),
            ("2.0.0", "1.3.0", false),
        ] {
            assert_eq!(check(needed, offered).is_ok(), runs, "{needed} on {offered}");
        }
    }

    #[test]
    fn refusal_says_needed_offered_and_what_to_do() {
        let newer = check_contract("0.2.0").unwrap_err();
        assert_eq!(newer.kind, Kind::ContractVersion);
        assert_eq!(newer.to_string(), "driver needs contract 0.2.0, host offers 0.1.1");
        assert!(newer.hints[0].starts_with("update hostler"));
        assert!(check_contract("0.0.9").unwrap_err().hints[0].starts_with("install a newer version"));
    }

    #[test]
    fn what_is_no_version_is_refused() {
        for text in ["", "0.1", "0.1.0.0", "a.b.c", "0.01.0", "+0.1.0", "0.1.0-rc1", "0.1.99999999999"] {
            assert_eq!(check_contract(text).unwrap_err().kind, Kind::ManifestInvalid, "{text}");
        }
    }
}
