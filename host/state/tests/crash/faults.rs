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
    reading: AtomicBool,
}

#[derive(Debug)]
pub(crate) struct FaultyDisk(Arc<Counter>);

impl FaultyDisk {
    pub(crate) fn new(at: u64, fault: Fault) -> Self {
        let (calls, tidying, reading) = (AtomicU64::new(0), AtomicBool::new(false), AtomicBool::new(false));
        Self(Arc::new(Counter { calls, at, fault, sync: false, tidying, reading }))
    }

    /// Fails each fdatasync.
    pub(crate) fn on_sync() -> Self {
        let (calls, tidying, reading) = (AtomicU64::new(0), AtomicBool::new(false), AtomicBool::new(false));
        Self(Arc::new(Counter {
            calls,
            at: u64::MAX,
            fault: Fault::InputOutput,
            sync: true,
            tidying,
            reading,
        }))
    }

    pub(crate) fn calls(&self) -> u64 {
        self.0.calls.load(Ordering::SeqCst)
    }

    /// Whether the call that failed was about a directory already removed from the state.
    pub(crate) fn tidying(&self) -> bool {
        self.0.tidying.load(Ordering::SeqCst)
    }

    /// Whether the call that failed was to look at what there is of a domain.
    pub(crate) fn reading(&self) -> bool {
        self.0.reading.load(Ordering::SeqCst)
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

impl Disk for FaultyDisk {
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        self.0.step(path).inspect_err(|_| {
            let of_a_domain = path.components().any(|part| part.as_os_str() == "domains");
            self.0.reading.store(of_a_domain, Ordering::SeqCst);
        })?;
        RealDisk.read(path, limit)
    }

    fn names(&self, directory: &Path) -> io::Result<Vec<String>> {
        self.0.step(directory).inspect_err(|_| self.0.reading.store(true, Ordering::SeqCst))?;
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
