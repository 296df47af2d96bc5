//! Pools that are a directory: one pass over its entries, and for each file one open, one stat and one read.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsFd as _;

use rustix::fs::{FileType, RawDir};

use super::{Listing, Skipped, Space};
use crate::create::is_draft;
use crate::error::StorageError;
use crate::facts::VolumeFacts;
use crate::probe::{self, Page};
use crate::root::PoolRoot;

/// Bytes of directory entries that are fetched at once: about 2,000 entries.
const ENTRIES_BYTES: usize = 64 * 1024;
/// How many entries that are no volumes are told; beyond that nobody reads on.
const SKIPPED_MAX: usize = 100;

/// Lists the directory.
pub(super) fn refresh(root: &PoolRoot) -> Result<Listing, StorageError> {
    let mut listing = Listing { space: space(root)?, ..Listing::default() };
    let mut page = Page::new();
    let mut names = names(root, &mut listing)?;
    // Names are cheaper to sort than volumes.
    names.sort_unstable();
    for name in names {
        match probe::probe_into(root, &name, &mut page) {
            Ok(Some(facts)) => listing.volumes.push(facts),
            Ok(None) => listing.skip(&name, "it is neither a file, a directory nor a block device"),
            Err(error) => unreadable(&mut listing, root, name, &error),
        }
    }
    Ok(listing)
}

/// The names that may be volumes: one pass, so that what is made meanwhile is seen or not, and nothing twice.
fn names(root: &PoolRoot, listing: &mut Listing) -> Result<Vec<String>, StorageError> {
    let failed = |error: rustix::io::Errno| {
        StorageError::io("list the directory of the pool", root.path().display(), error.into())
    };
    let mut buffer: Vec<u8> = Vec::with_capacity(ENTRIES_BYTES);
    let spare: &mut [MaybeUninit<u8>] = buffer.spare_capacity_mut();
    // A descriptor of its own, for reading moves its position.
    let again = rustix::fs::openat(
        root.as_fd(),
        ".",
        rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )
    .map_err(failed)?;
    let mut entries = RawDir::new(again.as_fd(), spare);
    let mut names = Vec::new();
    while let Some(entry) = entries.next() {
        let entry = entry.map_err(failed)?;
        let raw = entry.file_name().to_bytes();
        if matches!(raw, b"." | b"..") {
            continue;
        }
        match std::str::from_utf8(raw) {
            Ok(name) if is_draft(name) => {}
            Ok(name) if name.chars().any(char::is_control) => {
                listing.skip(name, "its name has a control character in it");
            }
            Ok(name) => match no_volume(entry.file_type()) {
                Some(reason) => listing.skip(name, reason),
                None => names.push(name.to_owned()),
            },
            Err(_) => listing.skip(&String::from_utf8_lossy(raw), "its name is not UTF-8"),
        }
    }
    Ok(names)
}

/// What the directory itself tells about an entry, so that it need not be opened.
fn no_volume(kind: FileType) -> Option<&'static str> {
    match kind {
        FileType::Symlink => Some("it is a link, which may lead anywhere"),
        FileType::Fifo => Some("it is a pipe"),
        FileType::Socket => Some("it is a socket"),
        FileType::CharacterDevice => Some("it is a character device"),
        FileType::RegularFile | FileType::Directory | FileType::BlockDevice | FileType::Unknown => None,
    }
}

/// What may not be opened is listed by what its name alone tells; what has gone meanwhile is not.
fn unreadable(listing: &mut Listing, root: &PoolRoot, name: String, error: &io::Error) {
    match error.kind() {
        io::ErrorKind::NotFound => {}
        io::ErrorKind::PermissionDenied => {
            let Some((allocated, length)) = root.sizes(&name) else { return };
            let kind = hostler_domain::volume::VolumeType::File;
            let path = root.path_of(&name);
            let facts = VolumeFacts::sized(name, kind, path, allocated, length);
            let problem = Some("it may not be read by this user".to_owned());
            let identity = root.identity_of(&facts.name).ok();
            listing.volumes.push(VolumeFacts { found_format: None, identity, problem, ..facts });
        }
        _ => listing.skip(&name, &error.to_string()),
    }
}

fn space(root: &PoolRoot) -> Result<Space, StorageError> {
    let stat = rustix::fs::fstatvfs(root.as_fd()).map_err(|error| {
        StorageError::io("measure the file system of", root.path().display(), error.into())
    })?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    let capacity = bytes(stat.f_blocks);
    Ok(Space {
        capacity,
        allocation: capacity.saturating_sub(bytes(stat.f_bfree)),
        available: bytes(stat.f_bavail),
    })
}

impl Listing {
    fn skip(&mut self, name: &str, reason: &str) {
        if self.skipped.len() < SKIPPED_MAX {
            let name = name.chars().take(64).flat_map(char::escape_debug).collect();
            self.skipped.push(Skipped { name, reason: reason.to_owned() });
        }
    }
}

#[cfg(test)]
mod tests;
