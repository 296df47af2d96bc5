//! The documents of pools and volumes: names that are file names, paths that lead nowhere else, byte-exact round trip.

use hostler_domain::pool::StoragePool;
use hostler_domain::volume::StorageVolume;

/// Asserts what holds of any text, document or not.
///
/// # Panics
/// When a promise is broken.
pub fn check(text: &str) {
    if let Ok(pool) = StoragePool::parse(text) {
        assert_eq!(pool.to_xml(), text, "the round trip of a pool is not byte-exact");
        plain(pool.name.as_str());
        if let Some(path) = &pool.target.path {
            assert!(path.starts_with('/') && !path.split('/').any(|part| part == ".."), "{path:?}");
        }
    }
    if let Ok(volume) = StorageVolume::parse(text) {
        assert_eq!(volume.to_xml(), text, "the round trip of a volume is not byte-exact");
        plain(volume.name.as_str());
        assert!(volume.target.cluster_size.is_none_or(|size| size.0.is_power_of_two()));
    }
}

fn plain(name: &str) {
    assert!(!name.is_empty() && !name.contains('/') && !name.starts_with('-') && name != ".." && name != ".");
}

#[cfg(test)]
mod tests {
    #[test]
    fn seeds_hold() {
        for text in [
            "<pool type='zfs'><name>a</name><source><name>tank/a</name></source></pool>",
            "<volume><name>a</name><capacity>1</capacity></volume>",
        ] {
            super::check(text);
        }
    }
}
