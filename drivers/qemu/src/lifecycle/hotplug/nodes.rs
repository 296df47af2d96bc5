//! The block nodes of a disk: which they are, and which a new one gets.

use hostler_sdk::domain::disk::Disk;
use hostler_sdk::{Domain, Error, Monitor, ProblemExt, problem};

use super::super::notes;
use super::machine;

/// What the nodes of a disk are noted under.
pub(in crate::lifecycle) fn key(disk: &Disk) -> String {
    format!("nodes:{}", disk.target)
}

/// What the nodes of a medium are noted under that is being put into a drive.
pub(super) fn pending_key(disk: &Disk) -> String {
    format!("medium:{}", disk.target)
}

/// Nodes as they are noted.
pub(super) fn joined(nodes: &[String]) -> String {
    nodes.join(",")
}

/// Nodes that were noted.
pub(super) fn noted(domain: &Domain, key: &str) -> Result<Option<Vec<String>>, Error> {
    let noted = notes::value(domain, key)?;
    Ok(noted.map(|names| names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()))
}

/// The nodes of a disk with this id, each before those that it refers to: as they are noted, or as a start has made them.
///
/// # Errors
/// What host and monitor answer; `unsupported` for nodes that a start did not number.
pub(in crate::lifecycle) fn of(
    domain: &Domain,
    monitor: &Monitor,
    disk: &Disk,
    id: &str,
) -> Result<Vec<String>, Error> {
    if let Some(nodes) = noted(domain, &key(disk))? {
        return Ok(nodes);
    }
    let drives = machine::drives(monitor)?;
    let own = drives.iter().find(|(path, _)| machine::is_of(path, id));
    let Some(top) = own.and_then(|(_, drive)| drive.top.as_deref()) else { return Ok(Vec::new()) };
    let first = number(top).ok_or_else(|| {
        let message =
            format!("the disk '{}' has a filter above its image whose nodes are not known", disk.target);
        problem("qemu.nodes", message).hint("change the stored definition instead").unsupported()
    })?;
    let tops = drives.iter().filter_map(|(_, drive)| number(drive.top.as_deref()?));
    let mut others: Vec<String> = Vec::new();
    for prefix in ["nodes:", "medium:"] {
        others.extend(
            notes::values(domain, prefix)?
                .into_iter()
                .flat_map(|(_, names)| names.split(',').map(str::to_owned).collect::<Vec<_>>()),
        );
    }
    let end = tops.filter(|other| *other > first).min().unwrap_or(u32::MAX);
    Ok(chain(&machine::nodes(monitor)?, first, end, &others))
}

/// The nodes with numbers from `first` to before `end`, but for these; each before those that it refers to.
fn chain(all: &[String], first: u32, end: u32, others: &[String]) -> Vec<String> {
    let mut found: Vec<_> = all
        .iter()
        .filter(|name| !others.contains(name))
        .filter_map(|name| {
            let number = number(name).filter(|number| (first..end).contains(number))?;
            Some((number, rank(name), name.clone()))
        })
        .collect();
    found.sort_unstable();
    found.into_iter().map(|(_, _, name)| name).collect()
}

/// What refers to the others of its number comes first.
fn rank(name: &str) -> usize {
    ["-format", "-slice-sto", "-storage"].iter().position(|suffix| name.ends_with(suffix)).unwrap_or(3)
}

/// A number that no node has, nor a node of a disk that is being plugged in.
///
/// # Errors
/// What host and monitor answer.
pub(super) fn next_number(domain: &Domain, monitor: &Monitor) -> Result<u32, Error> {
    let noted = [notes::values(domain, "nodes:")?, notes::values(domain, "medium:")?].concat();
    let noted = noted.iter().flat_map(|(_, names)| names.split(',')).filter_map(number);
    let live = machine::nodes(monitor)?;
    let highest = live.iter().filter_map(|name| number(name)).chain(noted).max();
    Ok(highest.map_or(1, |highest| highest.saturating_add(1)))
}

fn number(name: &str) -> Option<u32> {
    name.strip_prefix("libvirt-")?.split('-').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chain_has_the_numbers_up_to_the_next_disk() {
        let all: Vec<String> = [
            "libvirt-1-format",
            "libvirt-1-storage",
            "libvirt-2-storage",
            "libvirt-2-format",
            "libvirt-3-format",
            "libvirt-4-format",
            "libvirt-pflash0-format",
            "#block12",
            "libvirt-CoR-vda",
        ]
        .map(str::to_owned)
        .to_vec();
        let of_second = ["libvirt-2-format", "libvirt-2-storage", "libvirt-3-format"];
        assert_eq!(chain(&all, 2, 4, &[]), of_second);
        assert_eq!(chain(&all, 4, u32::MAX, &["libvirt-4-format".to_owned()]), Vec::<String>::new());
        assert_eq!((number("libvirt-12-storage"), number("libvirt-CoR-vda")), (Some(12), None));
    }
}
