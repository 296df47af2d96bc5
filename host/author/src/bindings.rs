//! Bindings for C, made from the contract when a project is written.

use std::path::Path;

use wit_bindgen_core::Files;

use crate::contract;
use crate::error::{AuthorError, Kind};
use crate::sdk;

/// Writes `driver.h` and `driver.c` for the world of every driver, and the object file that says which world it is: so
/// a later hostler encodes the driver for the contract that it was written for.
pub(crate) fn write_c(directory: &Path) -> Result<(), AuthorError> {
    let (mut resolve, world) = contract::world(&[])?;
    let mut files = Files::default();
    let options = wit_bindgen_c::Opts {
        autodrop_borrows: wit_bindgen_c::Enabled::Yes,
        ..wit_bindgen_c::Opts::default()
    };
    options.build().generate(&mut resolve, world, &mut files).map_err(|error| {
        AuthorError::new(Kind::Contract, format!("no C bindings can be made for the contract: {error:#}"))
    })?;
    files.iter().try_for_each(|(name, content)| sdk::write(&directory.join(name), content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bindings_name_every_function_of_the_life_cycle() {
        let place = tempfile::tempdir().unwrap();
        write_c(place.path()).unwrap();
        let header = std::fs::read_to_string(place.path().join("driver.h")).unwrap();
        for function in ["check", "start", "destroy", "on_event", "recovery_complete"] {
            let name = format!("exports_hostler_driver_lifecycle_{function}(");
            assert!(header.contains(&name), "{name}");
        }
        for name in ["driver.c", "driver_component_type.o"] {
            assert!(place.path().join(name).exists(), "{name}");
        }
    }
}
