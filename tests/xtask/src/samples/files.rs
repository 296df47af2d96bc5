//! What a process holds open, as the kernel tells it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The files in a directory, or with one of these names, that a process holds open, and whether for writing.
pub(super) fn held(
    process: u32,
    home: &Path,
    device: Option<&str>,
) -> Result<BTreeMap<String, bool>, String> {
    let base = format!("/proc/{process}");
    let entries = fs::read_dir(format!("{base}/fd")).map_err(|error| format!("{base}/fd: {error}"))?;
    let mut held = BTreeMap::new();
    for entry in entries.flatten() {
        let number = entry.file_name();
        let (Ok(target), Ok(facts)) = (
            fs::read_link(entry.path()),
            fs::read_to_string(format!("{base}/fdinfo/{}", number.to_string_lossy())),
        ) else {
            // Closed in between: not held.
            continue;
        };
        let name = match target.strip_prefix(home) {
            Ok(name) => name.display().to_string(),
            // The device stands for the file behind it.
            Err(_) if device.is_some_and(|device| target == Path::new(device)) => "a".to_owned(),
            Err(_) => continue,
        };
        let writable = is_writable(&facts);
        held.entry(name).and_modify(|before| *before |= writable).or_insert(writable);
    }
    Ok(held)
}

/// Whether the flags in these facts let the descriptor be written to.
fn is_writable(facts: &str) -> bool {
    const ACCESS_MODE: u32 = 3;
    let flags = facts.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| flags & ACCESS_MODE != 0)
}
