//! Digests of components, remembered: computing SHA-256 over a driver's bytes was a third of its load.
//!
//! A record is found by a keyed BLAKE3 hash over the whole component, so it speaks of these very bytes and of no others;
//! like an entry it is authentic by a keyed checksum over its name and content, or it is not believed.

use std::io;
use std::path::Path;

use super::{Cache, KEY_BYTES, read, remove, write};

/// Ending of a record's name.
pub(super) const RECORD_ENDING: &str = "digest";
/// `sha256:` and 64 hexadecimal digits.
const DIGEST_BYTES: usize = 71;

impl Cache {
    /// The digest of a component: remembered, or computed and remembered from now on.
    pub(crate) fn digest_of(&self, component: &[u8]) -> String {
        let name = self.record_name(component);
        let path = self.directory.join(&name);
        match self.recorded_digest(&name, &path) {
            Ok(digest) => return digest,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(record = %path.display(), %error, "a recorded digest is refused and computed anew");
            }
        }
        let digest = hostler_package::digest(component);
        if let Err(error) = self.record_digest(&name, &digest) {
            tracing::warn!(record = %path.display(), %error, "a computed digest was not recorded");
        }
        digest
    }

    /// Its first line tells this hash from every checksum under the same key.
    fn record_name(&self, component: &[u8]) -> String {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(b"component\n").update(component);
        format!("{}.{RECORD_ENDING}", hasher.finalize().to_hex())
    }

    fn recorded_digest(&self, name: &str, path: &Path) -> io::Result<String> {
        let (_, record) = read(path, (KEY_BYTES + DIGEST_BYTES) as u64)?;
        let too_short = || io::Error::other("it is too short");
        let (sum, digest) = record.split_first_chunk::<KEY_BYTES>().ok_or_else(too_short)?;
        if self.sum(name, &mut &*digest)? != blake3::Hash::from_bytes(*sum) {
            return Err(io::Error::other("not written by this host"));
        }
        String::from_utf8(digest.to_vec()).map_err(io::Error::other)
    }

    fn record_digest(&self, name: &str, digest: &str) -> io::Result<()> {
        let sum = self.sum(name, &mut digest.as_bytes())?;
        write(&self.directory, name, &[sum.as_bytes().as_slice(), digest.as_bytes()].concat())?;
        self.sweep()
    }
}

/// Removes the oldest records until as many are left as there can be entries.
pub(super) fn sweep(
    mut records: Vec<(std::time::SystemTime, std::path::PathBuf)>,
    most: usize,
) -> io::Result<()> {
    records.sort_by_key(|(made, _)| std::cmp::Reverse(*made));
    records.iter().skip(most).try_for_each(|(_, path)| remove(path))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::limits;
    use super::*;

    fn record_of(cache: &Cache, component: &[u8]) -> PathBuf {
        cache.directory.join(cache.record_name(component))
    }

    #[test]
    fn remembered_digest_is_the_computed_one_and_of_these_bytes_alone() {
        let place = tempfile::tempdir().unwrap();
        let cache = Cache::open(&place.path().join("cache")).unwrap();
        let (one, other) = (vec![7; 100_000], vec![8; 100_000]);
        for component in [&one, &other, &one, &other] {
            assert_eq!(cache.digest_of(component), hostler_package::digest(component));
        }
        assert!(record_of(&cache, &one).exists() && record_of(&cache, &one) != record_of(&cache, &other));
        // It is read: a record that says something else, made with the key, is what comes back.
        cache.record_digest(&cache.record_name(&one), "sha256:known").unwrap();
        assert_eq!(cache.digest_of(&one), "sha256:known");
        let again = Cache::open(&place.path().join("cache")).unwrap();
        assert_eq!(again.digest_of(&one), "sha256:known");
    }

    #[test]
    fn many_that_write_and_sweep_at_once_do_not_disturb_each_other() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("cache");
        let cache = Cache::open(&directory).unwrap();
        std::thread::scope(|scope| {
            for writer in 0..4_u8 {
                let cache = &cache;
                scope.spawn(move || {
                    for number in 0..100_u8 {
                        cache.record_digest(&cache.record_name(&[writer, number]), "sha256:known").unwrap();
                    }
                });
            }
        });
    }

    #[test]
    fn forged_moved_and_torn_records_are_not_believed() {
        let place = tempfile::tempdir().unwrap();
        let cache = Cache::open(&place.path().join("a")).unwrap();
        let stranger = Cache::open(&place.path().join("b")).unwrap();
        let (mine, theirs) = (b"mine".as_slice(), b"theirs".as_slice());
        let digest = hostler_package::digest(mine);
        let path = record_of(&cache, mine);
        let refused = |forged: &[u8], why: &str| {
            std::fs::write(&path, forged).unwrap();
            assert_eq!(cache.digest_of(mine), digest, "{why}");
            let mended = std::fs::read(&path).unwrap();
            assert_ne!(mended, forged, "{why}: it was written anew");
        };
        cache.digest_of(theirs);
        refused(&std::fs::read(record_of(&cache, theirs)).unwrap(), "the record of another component");
        let name = cache.record_name(mine);
        stranger.record_digest(&name, &hostler_package::digest(theirs)).unwrap();
        refused(&std::fs::read(stranger.directory.join(&name)).unwrap(), "made with another key");
        let whole = std::fs::read(&path).unwrap();
        for at in [0, KEY_BYTES, whole.len() - 1] {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            refused(&flipped, &format!("byte {at}"));
        }
        refused(&whole[..whole.len() - 1], "torn");
        refused(&whole[..3], "torn early");
        refused(b"", "empty");
        refused(&[whole.as_slice(), b"0"].concat(), "too long");
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(record_of(&cache, theirs), &path).unwrap();
        assert_eq!(cache.digest_of(mine), digest, "a link");
    }

    #[test]
    fn records_do_not_pile_up() {
        let place = tempfile::tempdir().unwrap();
        let cache = Cache::open(&place.path().join("cache")).unwrap();
        for number in 0..limits::CACHE_ENTRIES + 3 {
            cache.digest_of(&number.to_le_bytes());
        }
        let left = std::fs::read_dir(&cache.directory).unwrap().count();
        assert_eq!(left, limits::CACHE_ENTRIES + 1, "the records and the key");
    }
}
