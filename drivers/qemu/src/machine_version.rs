//! The version in a machine type's name.

/// The version of `pc-i440fx-5.0` and its like; none for a name without one, which means the newest.
pub(crate) fn of(machine: &str) -> Option<(u32, u32)> {
    let (_, version) = machine.rsplit_once('-')?;
    let (major, minor) = version.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    #[test]
    fn versions_are_read_from_names() {
        assert_eq!(super::of("pc-i440fx-5.0"), Some((5, 0)));
        assert_eq!(super::of("pc-q35-7.2"), Some((7, 2)));
        assert_eq!(super::of("pc"), None);
        assert_eq!(super::of("pc-q35-rhel"), None);
    }
}
