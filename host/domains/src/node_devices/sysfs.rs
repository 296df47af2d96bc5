//! Reading what the kernel tells.

use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Most bytes of a fact that are read: one has a line.
const FACT_MAX_BYTES: u64 = 4_096;

/// The fact of this name; nothing where it is not told, or is empty.
pub(crate) fn fact(device: &Path, name: &str) -> Option<String> {
    let file = std::fs::File::open(device.join(name)).ok()?;
    let mut bytes = Vec::new();
    file.take(FACT_MAX_BYTES).read_to_end(&mut bytes).ok()?;
    // What makers of devices write there is text of others: what no document may have is left out.
    let text: String =
        String::from_utf8_lossy(&bytes).chars().filter(|letter| !letter.is_control()).collect();
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// A fact that is a number, in decimal or with `0x`.
pub(crate) fn number(device: &Path, name: &str) -> Option<u64> {
    let text = fact(device, name)?;
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// The devices of a class, each where it really is, with their names.
pub(crate) fn devices(directory: &Path) -> Vec<(String, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let named = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        // One that has gone since is not there.
        let path = entry.path().canonicalize().ok()?;
        Some((entry.file_name().into_string().ok()?, path))
    });
    named.collect()
}

/// The name of what a link of a device leads to.
pub(crate) fn link(device: &Path, name: &str) -> Option<String> {
    let target = std::fs::read_link(device.join(name)).ok()?;
    Some(target.file_name()?.to_str()?.to_owned())
}

/// Letters that names of devices have others for.
pub(crate) fn plain(name: &str) -> String {
    let fine = |letter: char| letter.is_ascii_alphanumeric();
    name.chars().map(|letter| if fine(letter) { letter } else { '_' }).collect()
}
