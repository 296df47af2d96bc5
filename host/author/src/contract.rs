//! The contract that this program carries, understood: what metadata and bindings are made from.

use wit_parser::{CloneMaps, Resolve, SourceMap, UnresolvedPackageGroup, WorldId};

use crate::error::{AuthorError, Kind};
use crate::sdk;

/// The world of every driver.
const DRIVER: &str = "driver";

/// The contract, and the world of a driver with these optional interfaces. One that the contract does not have is left
/// out: a host never calls it.
pub(crate) fn world(abilities: &[String]) -> Result<(Resolve, WorldId), AuthorError> {
    let broken = |why: String| {
        AuthorError::new(Kind::Contract, format!("the contract in this program is broken: {why}"))
    };
    let mut resolve = Resolve::default();
    resolve.push_group(package("host").map_err(broken)?).map_err(|error| broken(error.to_string()))?;
    let driver =
        resolve.push_group(package("driver").map_err(broken)?).map_err(|error| broken(error.to_string()))?;
    let world =
        resolve.select_world(&[driver], Some(DRIVER)).map_err(|error| broken(format!("{error:#}")))?;
    for ability in abilities {
        // Each optional interface has a world of its own, named after it.
        let Ok(alone) = resolve.select_world(&[driver], Some(&format!("{ability}-ability"))) else {
            continue;
        };
        resolve
            .merge_worlds(alone, world, &mut CloneMaps::default())
            .map_err(|error| broken(format!("{error:#}")))?;
    }
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
    fn world_has_the_optional_interfaces_that_the_contract_has() {
        let exports = |abilities: &[&str]| {
            let abilities: Vec<_> = abilities.iter().map(|ability| (*ability).to_owned()).collect();
            let (resolve, world) = world(&abilities).unwrap();
            resolve.worlds[world].exports.len()
        };
        assert_eq!((exports(&[]), exports(&["native-config"])), (2, 3));
        assert_eq!((exports(&["save", "native-config"]), exports(&["administration"])), (4, 2));
    }
}
