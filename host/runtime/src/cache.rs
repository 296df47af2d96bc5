//! Compiled components on disk, so that a command pays for a driver's compilation once.
//!
//! An artifact is machine code that runs unchecked, so nothing reaches it that this host did not write: the
//! directory belongs to the owner alone, and beside each entry is a keyed checksum over its name and content.
//! The name covers component, engine version, settings and processor. Whatever does not fit is compiled anew.

mod digests;

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::hash::{Hash, Hasher};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::OFlags;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::error::{RuntimeError, RuntimeErrorKind};
use crate::limits;

/// Length of a key and of a keyed checksum, in bytes.
const KEY_BYTES: usize = 32;
/// File of the key, in the cache's directory.
const KEY_FILE: &str = "key";
/// Ending of an entry's name.
const ENTRY_ENDING: &str = "cwasm";
/// What follows an entry's name in that of the file with its keyed checksum.
const SUM_ENDING: &str = ".sum";
/// Beginning of the name of a file that is being written.
const DRAFT: &str = ".draft-";
/// A draft older than this was left by a process that died, in seconds.
const DRAFT_SECONDS: u64 = 3_600;

/// Whether a driver's machine code was found or had to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheOutcome {
    /// Found in the cache.
    Cached,
    /// Compiled now.
    Compiled,
}

/// A directory of compiled components.
#[derive(Debug)]
pub(crate) struct Cache {
    directory: PathBuf,
    key: [u8; KEY_BYTES],
}

impl Cache {
    /// Opens the cache, made when absent.
    ///
    /// # Errors
    /// [`RuntimeErrorKind::Cache`] when anybody else could write there, or the key cannot be made.
    pub(crate) fn open(directory: &Path) -> Result<Self, RuntimeError> {
        make_private(directory)?;
        let key =
            key(directory).map_err(|error| unusable(directory, "has no usable key").caused_by(error))?;
        Ok(Self { directory: directory.to_owned(), key })
    }

    /// The entry's component, when there is an authentic one.
    pub(crate) fn find(&self, engine: &Engine, digest: &str) -> Option<Component> {
        let name = entry_name(engine, digest);
        let path = self.directory.join(&name);
        let file = match open(&path, limits::ARTIFACT_BYTES) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => return self.discard(&path, &error.to_string()),
        };
        match self.sum_of_file(&name, &file).and_then(|sum| Ok(sum == self.recorded_sum(&name)?)) {
            Ok(true) => {}
            Ok(false) => return self.discard(&path, "not written by this host"),
            Err(error) => return self.discard(&path, &error.to_string()),
        }
        match deserialize(engine, &file) {
            Ok(component) => {
                // The time of use decides what is swept; without it only the order of sweeping suffers.
                drop(file.set_modified(SystemTime::now()));
                Some(component)
            }
            Err(error) => self.discard(&path, &error.to_string()),
        }
    }

    /// Adds an entry, then sweeps. A cache that cannot be written costs time, not the operation.
    pub(crate) fn store(&self, engine: &Engine, digest: &str, component: &Component) {
        let stored = component.serialize().map_err(io::Error::other);
        if let Err(error) = stored.and_then(|artifact| self.store_artifact(engine, digest, &artifact)) {
            tracing::warn!(directory = %self.directory.display(), %error, "a compiled driver was not cached");
        }
    }

    /// Adds what a compiler of this host made, then sweeps.
    ///
    /// # Errors
    /// The entry cannot be written.
    pub(crate) fn store_artifact(&self, engine: &Engine, digest: &str, artifact: &[u8]) -> io::Result<()> {
        let name = entry_name(engine, digest);
        let sum = self.sum(&name, &mut &*artifact)?;
        write(&self.directory, &format!("{name}{SUM_ENDING}"), sum.as_bytes())?;
        write(&self.directory, &name, artifact)?;
        self.sweep()
    }

    /// What [`Cache::store`] wrote beside the entry. Compared by BLAKE3's own type, which takes the same time
    /// wherever the difference is.
    fn recorded_sum(&self, name: &str) -> io::Result<blake3::Hash> {
        let (_, bytes) = read(&self.directory.join(format!("{name}{SUM_ENDING}")), KEY_BYTES as u64)?;
        let sum = <[u8; KEY_BYTES]>::try_from(bytes.as_slice());
        sum.map(blake3::Hash::from_bytes).map_err(|_| io::Error::other("its sum is too short"))
    }

    /// Covers the name as well, so that an entry under another component's name is not authentic.
    fn sum(&self, name: &str, artifact: &mut impl io::Read) -> io::Result<blake3::Hash> {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(name.as_bytes()).update(b"\n").update_reader(artifact)?;
        Ok(hasher.finalize())
    }

    /// The same of a file, mapped instead of read: it is most of what a load waits for.
    fn sum_of_file(&self, name: &str, artifact: &File) -> io::Result<blake3::Hash> {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(name.as_bytes()).update(b"\n").update_mmap(opened_path(artifact))?;
        Ok(hasher.finalize())
    }

    fn discard(&self, path: &Path, reason: &str) -> Option<Component> {
        tracing::warn!(entry = %path.display(), reason, "a cache entry is refused; the driver is compiled anew");
        if let Err(error) = remove_entry(path) {
            tracing::warn!(entry = %path.display(), %error, "the refused cache entry stays");
        }
        None
    }

    /// Removes what was not used for longest until the rest fits, and drafts of processes that died.
    fn sweep(&self) -> io::Result<()> {
        let (mut entries, mut records) = (Vec::new(), Vec::new());
        for entry in std::fs::read_dir(&self.directory)? {
            let entry = entry?;
            let metadata = match entry.metadata() {
                // Another process has renamed or removed it since it was listed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                metadata => metadata?,
            };
            let path = entry.path();
            let used = metadata.modified()?;
            if path.extension().is_some_and(|ending| ending == ENTRY_ENDING) {
                entries.push((used, metadata.len(), path));
            } else if path.extension().is_some_and(|ending| ending == digests::RECORD_ENDING) {
                records.push((used, path));
            } else if entry.file_name().to_string_lossy().starts_with(DRAFT)
                && used.elapsed().is_ok_and(|age| age.as_secs() > DRAFT_SECONDS)
            {
                remove(&path)?;
            }
        }
        entries.sort_by_key(|(used, ..)| std::cmp::Reverse(*used));
        let mut total = 0_u64;
        for (position, (_, length, path)) in entries.iter().enumerate() {
            total = total.saturating_add(*length);
            if position >= limits::CACHE_ENTRIES || total > limits::CACHE_BYTES {
                remove_entry(path)?;
            }
        }
        digests::sweep(records, limits::CACHE_ENTRIES)
    }
}

/// Removes an entry, and its sum with it.
fn remove_entry(path: &Path) -> io::Result<()> {
    remove(path)?;
    let mut sum = path.as_os_str().to_owned();
    sum.push(SUM_ENDING);
    remove(Path::new(&sum))
}

/// A path to this very file, whatever its name is by now.
fn opened_path(file: &impl AsRawFd) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// The one place where unchecked machine code becomes runnable.
#[expect(
    unsafe_code,
    reason = "wasmtime offers no checked way to load compiled code; the caller has authenticated it"
)]
pub(crate) fn deserialize(engine: &Engine, artifact: &impl AsRawFd) -> wasmtime::Result<Component> {
    // The very file that was authenticated, whatever its name is by now. Mapped, not copied: only the pages that
    // a call touches are read.
    let path = opened_path(artifact);
    // SAFETY: the file is the output of `Component::serialize` of an engine with the same version, settings and
    // processor. Either it is an entry: its keyed checksum was verified, and the key is known only to processes that
    // may write this owner-only directory; entries are never written in place (they are drafts that are renamed), so
    // what was verified is what is mapped. Or this is a worker, and the file is sealed memory that the host which
    // started it has filled from a component of its own.
    unsafe { Component::deserialize_file(engine, path) }
}

/// Covers everything that decides whether an artifact fits.
fn entry_name(engine: &Engine, digest: &str) -> String {
    let mut fits = Fits(blake3::Hasher::new());
    engine.precompile_compatibility_hash().hash(&mut fits);
    fits.0.update(env!("CARGO_PKG_VERSION").as_bytes()).update(digest.as_bytes());
    format!("{}.{ENTRY_ENDING}", fits.0.finalize().to_hex())
}

struct Fits(blake3::Hasher);

impl Hasher for Fits {
    fn finish(&self) -> u64 {
        0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}

fn make_private(directory: &Path) -> Result<(), RuntimeError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|error| unusable(directory, "cannot be made").caused_by(error))?;
    let metadata = std::fs::symlink_metadata(directory)
        .map_err(|error| unusable(directory, "cannot be looked at").caused_by(error))?;
    if !metadata.is_dir() || metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(unusable(directory, "is not a directory of this user")
            .hint("remove it; it holds nothing that cannot be made again"));
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(unusable(directory, "is open to other users, who could plant machine code in it").hint(
            format!("run: rm -r '{}'; it holds nothing that cannot be made again", directory.display()),
        ));
    }
    Ok(())
}

fn unusable(directory: &Path, why: &str) -> RuntimeError {
    let message = format!("the cache of compiled drivers '{}' {why}", directory.display());
    RuntimeError::new(RuntimeErrorKind::Cache, message)
}

/// The directory's key, made when absent or not as it was made.
fn key(directory: &Path) -> io::Result<[u8; KEY_BYTES]> {
    let path = directory.join(KEY_FILE);
    if let Some(key) = existing_key(&path)? {
        return Ok(key);
    }
    let mut key = [0; KEY_BYTES];
    File::open("/dev/urandom")?.read_exact(&mut key)?;
    let draft = draft(directory, &key)?;
    // A link never replaces: of two processes that make a key at once, both use the first one's.
    let linked = std::fs::hard_link(&draft, &path);
    remove(&draft)?;
    match linked {
        Ok(()) => Ok(key),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            existing_key(&path)?.ok_or_else(|| io::Error::other("the key disappeared while it was made"))
        }
        Err(error) => Err(error),
    }
}

fn existing_key(path: &Path) -> io::Result<Option<[u8; KEY_BYTES]>> {
    let (file, bytes) = match read(path, KEY_BYTES as u64) {
        Ok(read) => read,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => return remove(path).map(|()| None),
        Err(error) => return Err(error),
    };
    match <[u8; KEY_BYTES]>::try_from(bytes.as_slice()) {
        Ok(key) if file.metadata()?.mode() & 0o077 == 0 => Ok(Some(key)),
        _ => remove(path).map(|()| None),
    }
}

/// Opens a regular file of at most `limit` bytes through no link.
fn open(path: &Path, limit: u64) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(open_flags()).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other("not a file of this user"));
    }
    if metadata.len() > limit {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(file)
}

/// Reads a whole regular file through no link.
fn read(path: &Path, limit: u64) -> io::Result<(File, Vec<u8>)> {
    let file = open(path, limit)?;
    let mut bytes = Vec::new();
    (&file).take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok((file, bytes))
}

#[expect(clippy::cast_possible_wrap, reason = "open flags are a bit set; the sign carries nothing")]
fn open_flags() -> i32 {
    (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32
}

fn write(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let draft = draft(directory, bytes)?;
    // No fsync: an entry that a power cut tears is not authentic and is made again.
    std::fs::rename(&draft, directory.join(name))
}

fn draft(directory: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    let unique =
        blake3::hash(format!("{:?} {:?}", std::thread::current().id(), SystemTime::now()).as_bytes());
    let path = directory.join(format!("{DRAFT}{}-{}", std::process::id(), unique.to_hex()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    Ok(path)
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component without anything in it: enough for an artifact.
    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    fn engine() -> Engine {
        crate::engine::engine(crate::engine::Allocation::default(), limits::STACK_BYTES).unwrap()
    }

    fn sum_of(entry: &Path) -> PathBuf {
        PathBuf::from(format!("{}{SUM_ENDING}", entry.display()))
    }

    /// Copies an entry with its sum.
    fn copy(from: &Path, to: &Path) {
        std::fs::copy(from, to).unwrap();
        std::fs::copy(sum_of(from), sum_of(to)).unwrap();
    }

    fn filled(directory: &Path, engine: &Engine) -> (Cache, PathBuf) {
        let cache = Cache::open(directory).unwrap();
        cache.store(engine, "sha256:1", &Component::new(engine, EMPTY).unwrap());
        let entry = directory.join(entry_name(engine, "sha256:1"));
        (cache, entry)
    }

    #[test]
    fn stored_entry_is_found_by_the_next_process() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cache");
        let (cache, _) = filled(&path, &engine());
        assert!(cache.find(&engine(), "sha256:1").is_some());
        assert!(Cache::open(&path).unwrap().find(&engine(), "sha256:1").is_some());
        assert!(cache.find(&engine(), "sha256:2").is_none());
    }

    #[test]
    fn any_flipped_bit_is_refused_and_the_entry_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cache");
        let engine = engine();
        let (cache, entry) = filled(&path, &engine);
        let whole = std::fs::read(&entry).unwrap();
        let sum = sum_of(&entry);
        let whole_sum = std::fs::read(&sum).unwrap();
        for at in [0, whole.len() / 2, whole.len() - 1] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&entry, &bytes).unwrap();
            std::fs::write(&sum, &whole_sum).unwrap();
            assert!(cache.find(&engine, "sha256:1").is_none(), "byte {at}");
            assert!(!entry.exists() && !sum.exists());
        }
        for sum_bytes in [&whole_sum[..10], &[0; KEY_BYTES], &[]] {
            std::fs::write(&entry, &whole).unwrap();
            std::fs::write(&sum, sum_bytes).unwrap();
            assert!(cache.find(&engine, "sha256:1").is_none());
        }
        std::fs::write(&entry, &whole).unwrap();
        assert!(cache.find(&engine, "sha256:1").is_none(), "no sum at all");
        std::fs::write(&entry, &whole).unwrap();
        std::fs::write(&sum, &whole_sum).unwrap();
        assert!(cache.find(&engine, "sha256:1").is_some(), "as it was written");
    }

    #[test]
    fn forged_entry_under_another_key_or_name_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let engine = engine();
        let (cache, entry) = filled(&directory.path().join("a"), &engine);
        let (other, other_entry) = filled(&directory.path().join("b"), &engine);
        copy(&entry, &other_entry);
        assert!(other.find(&engine, "sha256:1").is_none(), "made with another directory's key");
        copy(&entry, &directory.path().join("a").join(entry_name(&engine, "sha256:2")));
        assert!(cache.find(&engine, "sha256:2").is_none(), "another component's entry under this name");
        assert!(cache.find(&engine, "sha256:1").is_some());
    }

    #[test]
    fn directory_that_others_can_enter_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cache");
        Cache::open(&path).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        let error = Cache::open(&path).unwrap_err();
        assert_eq!(error.kind, RuntimeErrorKind::Cache);
        assert!(error.hints()[0].contains("rm -r"));
    }

    #[test]
    fn key_that_others_could_read_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cache");
        let (cache, _) = filled(&path, &engine());
        assert_eq!(std::fs::metadata(path.join(KEY_FILE)).unwrap().mode() & 0o777, 0o600);
        std::fs::set_permissions(path.join(KEY_FILE), Permissions::from_mode(0o644)).unwrap();
        let again = Cache::open(&path).unwrap();
        assert_ne!(cache.key, again.key);
        assert!(again.find(&engine(), "sha256:1").is_none());
    }

    #[test]
    fn sweep_keeps_the_entries_used_last() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cache");
        let cache = Cache::open(&path).unwrap();
        let engine = engine();
        let day = std::time::Duration::from_secs(86_400);
        for number in 0..limits::CACHE_ENTRIES + 3 {
            let file = File::create(path.join(format!("{number}.{ENTRY_ENDING}"))).unwrap();
            let age = day * u32::try_from(number + 1).unwrap();
            file.set_modified(SystemTime::now() - age).unwrap();
        }
        let dead = File::create(path.join(format!("{DRAFT}1"))).unwrap();
        dead.set_modified(SystemTime::now() - day).unwrap();
        cache.store(&engine, "sha256:1", &Component::new(&engine, EMPTY).unwrap());
        let left = std::fs::read_dir(&path).unwrap().count();
        assert_eq!(left, limits::CACHE_ENTRIES + 2, "the entries, the key and the one sum");
        assert!(path.join(entry_name(&engine, "sha256:1")).exists());
    }
}
