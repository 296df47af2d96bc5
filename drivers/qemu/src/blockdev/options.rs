//! What a disk asks of all its nodes: caching, discard, zeroes, asynchronous I/O.

use hostler_sdk::Value;
use hostler_sdk::domain::disk::{CacheMode, DetectZeroes, Discard, Disk, IoMode};

/// The settings of one disk that its nodes carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    cache: Option<CacheMode>,
    discard: Option<Discard>,
    detect_zeroes: Option<DetectZeroes>,
    io: Option<IoMode>,
    discard_no_unref: Option<bool>,
}

impl Options {
    /// The settings of a disk. A disk that guests share and that says nothing else is not cached.
    pub(crate) fn of(disk: &Disk) -> Self {
        let driver = &disk.driver;
        Options {
            cache: cache_mode(disk),
            discard: driver.discard.filter(|discard| *discard != Discard::Default),
            detect_zeroes: driver.detect_zeroes.filter(|zeroes| *zeroes != DetectZeroes::Default),
            io: driver.io.filter(|io| *io != IoMode::Default),
            discard_no_unref: driver.discard_no_unref.filter(|keeps| *keeps),
        }
    }

    /// The cache settings that every node of the chain carries; none when the document is silent.
    pub(crate) fn cache(self) -> Option<Value> {
        let mode = self.cache?;
        let direct = matches!(mode, CacheMode::None | CacheMode::DirectSync);
        Some(Value::mapping().with("direct", direct).with("no-flush", mode == CacheMode::Unsafe))
    }

    /// What becomes of the guest's discards.
    pub(crate) fn discard(self) -> Option<&'static str> {
        self.discard.map(Discard::as_str)
    }

    /// What becomes of zeroes that the guest writes. Turning them to holes needs discard.
    pub(crate) fn detect_zeroes(self) -> Option<&'static str> {
        match self.detect_zeroes? {
            DetectZeroes::Unmap if self.discard != Some(Discard::Unmap) => Some(DetectZeroes::On.as_str()),
            other => Some(other.as_str()),
        }
    }

    /// Whether discarded clusters stay allocated in a qcow2 image; said only where they do, for QEMU before 8.1 does not
    /// know the word.
    pub(crate) fn discard_no_unref(self) -> Option<bool> {
        self.discard_no_unref
    }

    /// How a file's requests reach the host.
    pub(crate) fn aio(self) -> Option<&'static str> {
        self.io.map(IoMode::as_str)
    }
}

/// How a disk is cached, where that is decided.
pub(crate) fn cache_mode(disk: &Disk) -> Option<CacheMode> {
    let asked = disk.driver.cache.filter(|cache| *cache != CacheMode::Default);
    let shared = disk.shareable && !disk.readonly;
    asked.or(shared.then_some(CacheMode::None))
}

/// Whether the guest's device has a write cache; none when nobody decided.
pub(crate) fn write_cache(disk: &Disk) -> Option<bool> {
    cache_mode(disk).map(|mode| !matches!(mode, CacheMode::Writethrough | CacheMode::DirectSync))
}
