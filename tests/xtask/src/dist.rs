//! `cargo xtask dist`: the product as a Debian package, and whether it works from where it is installed.

mod guest;
mod installed;
mod machine;
mod package;
mod unpacked;

use crate::args::Args;
use crate::{build, components, guest as guests, setup, shell, workspace};
use anyhow::Result;
use package::{Recipe, fresh};

/// Runs the verb.
pub(crate) fn run(mut args: Args) -> Result<()> {
    let (debug, must) = (args.flag("--debug"), args.flag("--systemd"));
    let [] = args.positional()?;
    setup::ensure_for_packages()?;
    if debug {
        build::development()?
    } else {
        build::release()?
    }
    components::build_all()?;
    let guest = guests::ensure()?;
    let target = workspace::target_dir()?;
    let place = target.join("dist");
    let recipe = Recipe {
        programs: target.join(if debug { "debug" } else { "release" }),
        drivers: target.join("drivers"),
        draft: debug,
        place: place.clone(),
    };
    let package = recipe.make()?;
    shell::step("the package's program where it is unpacked");
    unpacked::prove(&package, &fresh(&place.join("proof"))?, &guest)?;
    installed::prove(&recipe, &package, &guest, must)?;
    println!("{}", package.display());
    Ok(())
}
