//! A sample of each kind of local storage, described by the driver and opened by a real QEMU.

mod craft;
#[cfg(test)]
mod created;
mod files;
mod kinds;
mod open;

use anyhow::Result;

/// Opens every sample; the answer is what became of each, by name.
///
/// # Errors
/// No scratch directory can be made.
pub(crate) fn open_all() -> Result<Vec<(String, Result<(), String>)>> {
    let scratch = tempfile::tempdir()?;
    let mut outcomes = Vec::new();
    for (number, sample) in kinds::all().into_iter().enumerate() {
        let home = scratch.path().join(number.to_string());
        std::fs::create_dir(&home)?;
        match open::open(&sample, &home) {
            Ok(()) => outcomes.push((sample.name.to_owned(), Ok(()))),
            Err(open::Failure::Impossible(why)) => println!("  {}: NOT TRIED: {why}", sample.name),
            Err(open::Failure::Wrong(why)) => outcomes.push((sample.name.to_owned(), Err(why))),
        }
    }
    Ok(outcomes)
}

#[cfg(test)]
mod tests;
