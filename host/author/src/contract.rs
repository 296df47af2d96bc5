//! The contract that this program carries, understood: what metadata and bindings are made from.

use wit_parser::{Resolve, SourceMap, UnresolvedPackageGroup, WorldId};

use crate::error::{AuthorError, Kind};
use crate::sdk;

/// The world of every driver.
pub(crate) const DRIVER: &str = "driver";
/// The world of a driver that can also show a launch.
pub(crate) const WITH_NATIVE_CONFIG: &str = "driver-native-config";

/// The contract, and one of its worlds.
pub(crate) fn world(name: &str) -> Result<(Resolve, WorldId), AuthorError> {
    let broken = |why: String| {
        AuthorError::new(Kind::Contract, format!("the contract in this program is broken: {why}"))
    };
    let mut resolve = Resolve::default();
    resolve.push_group(package("host").map_err(broken)?).map_err(|error| broken(error.to_string()))?;
    let driver =
        resolve.push_group(package("driver").map_err(broken)?).map_err(|error| broken(error.to_string()))?;
    let world = resolve.select_world(&[driver], Some(name)).map_err(|error| broken(format!("{error:#}")))?;
    Ok((resolve, world))
}

fn package(name: &str) -> Result<UnresolvedPackageGroup, String> {
    let mut files = SourceMap::default();
    sdk::contract(name).for_each(|(path, text)| files.push_str(path, text));
    files.parse().map_err(|(_, error)| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_worlds_are_understood() {
        for name in [DRIVER, WITH_NATIVE_CONFIG] {
            let (resolve, world) = world(name).unwrap();
            assert_eq!(resolve.worlds[world].name, name);
        }
        assert_eq!(world("administrator").unwrap_err().kind, Kind::Contract);
    }
}
