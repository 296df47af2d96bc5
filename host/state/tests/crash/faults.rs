//! A disk that fails, or kills its process, at the n-th call.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use hostler_state::{Disk, Draft, RealDisk};

/// What happens at the chosen call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    /// SIGKILL, before the call; a write is cut in half first.
    Kill,
    /// ENOSPC; a write is cut in half first.
    NoSpace,
    /// EIO.
    InputOutput,
}

#[derive(Debug)]
struct Counter {
    calls: AtomicU64,
    at: u64,
    fault: Fault,
    /// Fail the first sync after opening instead of the n-th call.
    sync: bool,
    tidying: AtomicBool,
    /// The call that failed was to read a record of a domain.
    reading: AtomicBool,
    /// The call that failed was to list what lies in the directory of a domain.
    listing: AtomicBool,
}

impl Default for Counter {
    fn default() -> Self {
        let calls = AtomicU64::new(0);
        let [tidying, reading, listing] = [false; 3].map(AtomicBool::new);
        Self { calls, at: u64::MAX, fault: Fault::InputOutput, sync: false, tidying, reading, listing }
    }
}

#[derive(Debug)]
pub(crate) struct FaultyDisk(Arc<Counter>);

impl FaultyDisk {
    pub(crate) fn new(at: u64, fault: Fault) -> Self {
        Self(Arc::new(Counter { at, fault, ..Counter::default() }))
    }

    /// Fails each fdatasync.
    pub(crate) fn on_sync() -> Self {
        Self(Arc::new(Counter { sync: true, ..Counter::default() }))
    }

    pub(crate) fn calls(&self) -> u64 {
        self.0.calls.load(Ordering::SeqCst)
    }

    /// Whether the call that failed was about a directory already removed from the state.
    pub(crate) fn tidying(&self) -> bool {
        self.0.tidying.load(Ordering::SeqCst)
    }

    /// Whether the call that failed was to read a record of a domain.
    pub(crate) fn reading(&self) -> bool {
        self.0.reading.load(Ordering::SeqCst)
    }

    /// Whether the call that failed was to list what lies in the directory of a domain.
    pub(crate) fn listing(&self) -> bool {
        self.0.listing.load(Ordering::SeqCst)
    }
}

impl Counter {
    fn step(&self, path: &Path) -> io::Result<()> {
        self.step_after(path, || {})
    }

    fn step_after(&self, path: &Path, partly: impl FnOnce()) -> io::Result<()> {
        if self.calls.fetch_add(1, Ordering::SeqCst) + 1 != self.at {
            return Ok(());
        }
        let removed =
            path.components().any(|part| part.as_os_str().to_string_lossy().starts_with("removed-"));
        self.tidying.store(removed, Ordering::SeqCst);
        match self.fault {
            Fault::Kill => {
                partly();
                rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)?;
                unreachable!("SIGKILL returned")
            }
            Fault::NoSpace => {
                partly();
                Err(io::ErrorKind::StorageFull.into())
            }
            Fault::InputOutput => Err(rustix::io::Errno::IO.into()),
        }
    }
}

/// Whether this is the directory of one domain.
fn is_of_a_domain(directory: &Path) -> bool {
    directory.parent().and_then(Path::file_name).is_some_and(|name| name == "domains")
}

impl Disk for FaultyDisk {
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        self.0.step(path).inspect_err(|_| {
            let of_a_domain = path.parent().is_some_and(is_of_a_domain);
            self.0.reading.store(of_a_domain, Ordering::SeqCst);
        })?;
        RealDisk.read(path, limit)
    }

    fn names(&self, directory: &Path) -> io::Result<Vec<String>> {
        let of_a_domain = is_of_a_domain(directory);
        self.0.step(directory).inspect_err(|_| self.0.listing.store(of_a_domain, Ordering::SeqCst))?;
        RealDisk.names(directory)
    }

    fn make_directory(&self, path: &Path) -> io::Result<()> {
        self.0.step(path)?;
        RealDisk.make_directory(path)
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn Draft>> {
        self.0.step(path)?;
        let draft = RealDisk.create_new(path)?;
        Ok(Box::new(FaultyDraft { draft, path: path.to_owned(), counter: self.0.clone() }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.step(to)?;
        RealDisk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.0.step(path)?;
        RealDisk.remove_file(path)
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        self.0.step(path)?;
        RealDisk.remove_directory(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.0.step(path)?;
        RealDisk.sync_directory(path)
    }
}

struct FaultyDraft {
    draft: Box<dyn Draft>,
    path: std::path::PathBuf,
    counter: Arc<Counter>,
}

impl Draft for FaultyDraft {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let draft = &mut self.draft;
        self.counter.step_after(&self.path, || draft.write_all(&bytes[..bytes.len() / 2]).unwrap())?;
        self.draft.write_all(bytes)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.counter.step(&self.path)?;
        if self.counter.sync {
            return Err(rustix::io::Errno::IO.into());
        }
        self.draft.sync_data()
    }
}
