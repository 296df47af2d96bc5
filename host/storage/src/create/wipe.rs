//! Overwriting what a volume has held.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, FileTypeExt as _};

use rustix::fs::SeekFrom;
use rustix::io::Errno;

use super::Progress;
use super::make::fraction;
use crate::error::StorageError;
use crate::root::PoolRoot;

/// Bytes that are written at once.
const CHUNK: usize = 1 << 20;
/// Where the kernel has numbers that nobody can guess.
const RANDOM: &str = "/dev/urandom";

/// What a volume is overwritten with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WipePattern {
    /// Zeros.
    Zero,
    /// Numbers that nobody can guess.
    Random,
}

/// Overwrites everything that a volume holds, in its place, and makes that durable: its length and the room that is set aside
/// for it stay. Gaps hold nothing and stay gaps. What is overwritten before a failure is gone.
///
/// # Errors
/// What writing says.
pub fn wipe_volume(
    root: &PoolRoot,
    name: &str,
    pattern: WipePattern,
    progress: Progress<'_>,
) -> Result<u64, StorageError> {
    let file = root.open_volume(name, true)?;
    let failed = |error| StorageError::io("overwrite the volume", name, error).about("volume", name);
    let mut filler = Filler::new(pattern).map_err(failed)?;
    let written = overwrite(&file, &mut filler, progress).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    Ok(written)
}

/// What is written, made as it is needed.
struct Filler {
    random: Option<File>,
    chunk: Vec<u8>,
}

impl Filler {
    fn new(pattern: WipePattern) -> io::Result<Self> {
        let random = match pattern {
            WipePattern::Zero => None,
            WipePattern::Random => Some(File::open(RANDOM)?),
        };
        Ok(Self { random, chunk: vec![0; CHUNK] })
    }

    fn next(&mut self, length: u64) -> io::Result<&[u8]> {
        let length = usize::try_from(length).unwrap_or(CHUNK).min(CHUNK);
        let chunk = self.chunk.get_mut(..length).unwrap_or_default();
        if let Some(random) = &mut self.random {
            random.read_exact(chunk)?;
        }
        Ok(chunk)
    }
}

fn overwrite(file: &File, filler: &mut Filler, progress: Progress<'_>) -> io::Result<u64> {
    let metadata = file.metadata()?;
    let is_device = metadata.file_type().is_block_device();
    let length = if is_device { rustix::fs::seek(file, SeekFrom::End(0))? } else { metadata.len() };
    let (mut at, mut written) = (0, 0_u64);
    while let Some((begin, end)) = next_data(file, is_device, at, length)? {
        let mut place = begin;
        while place < end {
            let piece = filler.next(end - place)?;
            file.write_all_at(piece, place)?;
            let count = u64::try_from(piece.len()).unwrap_or(0);
            (place, written) = (place.saturating_add(count), written.saturating_add(count));
            progress(fraction(place, length));
        }
        at = end;
    }
    Ok(written)
}

/// Where the next bytes lie that are no gap.
fn next_data(file: &File, is_device: bool, at: u64, length: u64) -> io::Result<Option<(u64, u64)>> {
    if at >= length {
        return Ok(None);
    }
    if is_device {
        return Ok(Some((at, length)));
    }
    let begin = match rustix::fs::seek(file, SeekFrom::Data(at)) {
        Err(Errno::NXIO) => return Ok(None),
        found => found?,
    };
    let end = rustix::fs::seek(file, SeekFrom::Hole(begin))?;
    Ok(Some((begin, end.min(length))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn what_it_held_is_gone_and_its_length_and_room_stay() {
        for pattern in [WipePattern::Zero, WipePattern::Random] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("v");
            let file = File::create(&path).unwrap();
            file.set_len(8 << 20).unwrap();
            file.write_all_at(&[7; 5_000], 3 << 20).unwrap();
            file.write_all_at(b"end", (8 << 20) - 3).unwrap();
            file.sync_all().unwrap();
            let before = std::fs::metadata(&path).unwrap();
            let root = PoolRoot::open_at(directory.path()).unwrap();
            let written = wipe_volume(&root, "v", pattern, &mut |_| {}).unwrap();
            assert!((5_003..1 << 20).contains(&written), "{written}");
            let after = std::fs::read(&path).unwrap();
            assert!(!after.windows(8).any(|bytes| bytes == [7; 8]) && !after.ends_with(b"end"));
            assert_eq!(pattern == WipePattern::Zero, after.iter().all(|byte| *byte == 0));
            let there = std::fs::metadata(&path).unwrap();
            assert_eq!(
                (there.len(), there.ino(), there.blocks()),
                (before.len(), before.ino(), before.blocks())
            );
        }
    }
}
