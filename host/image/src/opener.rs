//! The one place where a walk meets the operating system: a trait that the caller implements.

use std::io;

use crate::chain::{Chain, Layer};
use crate::error::ImageError;
use crate::request::ChainRequest;
use crate::walk::{OpenRequest, Opened, Step, Walk};
use crate::windows::ByteRange;

/// Opens and reads files on behalf of a walk.
///
/// `open` must open without blocking (`O_NONBLOCK`), close-on-exec, and take the facts from the open file
/// (`fstat`), not from its name. A request with a grant must be opened beneath the granted directory without
/// following any link (`openat2` with `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS`).
pub trait Opener {
    /// What stands for an open file.
    type File;

    /// Opens one file.
    ///
    /// # Errors
    /// Why it could not be opened; the walk adds the layer, the reference and the remedy.
    fn open(&mut self, request: &OpenRequest) -> Result<Opened<Self::File>, OpenFailure>;

    /// Reads at `offset` into `buffer`; returns the number of bytes read, 0 at the end of the file.
    ///
    /// # Errors
    /// What the operating system says.
    fn read_at(&mut self, file: &Self::File, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

/// Why a file could not be opened.
#[derive(Debug)]
pub enum OpenFailure {
    /// There is no such file.
    Missing,
    /// The name leads through a link or out of the granted directory.
    Escapes,
    /// This process may not open it.
    PermissionDenied(io::Error),
    /// Anything else.
    Io(io::Error),
}

impl From<io::Error> for OpenFailure {
    /// Sorts an error of `openat2` or `open`.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::Missing,
            io::ErrorKind::PermissionDenied => Self::PermissionDenied(error),
            // ELOOP and EXDEV: what openat2 answers when a link or ".." would leave the directory.
            io::ErrorKind::CrossesDevices => Self::Escapes,
            _ if error.raw_os_error() == Some(ELOOP) => Self::Escapes,
            _ => Self::Io(error),
        }
    }
}

/// `ELOOP` on Linux; the standard library has no stable name for its kind.
const ELOOP: i32 = 40;

/// Resolves a chain: opens each layer once, checks its header, and keeps that very file in the result.
///
/// # Errors
/// The first refusal met from the active layer downwards.
pub fn resolve_chain<O: Opener>(opener: &mut O, request: ChainRequest) -> Result<Chain<O::File>, ImageError> {
    explore_chain(opener, request).map_err(|broken| broken.error)
}

/// A chain that could not be resolved, as far as it is known.
#[derive(Debug)]
pub struct BrokenChain<F> {
    /// The refusal.
    pub error: ImageError,
    /// The layers that were found sound before it, active layer first.
    pub layers: Vec<Layer<F>>,
}

/// The same as [`resolve_chain`], for whoever shows how far it came.
///
/// # Errors
/// The first refusal met, with the layers above it.
pub fn explore_chain<O: Opener>(
    opener: &mut O,
    request: ChainRequest,
) -> Result<Chain<O::File>, BrokenChain<O::File>> {
    let mut walk = Walk::new(request).map_err(|error| BrokenChain { error, layers: Vec::new() })?;
    match advance(opener, &mut walk) {
        Ok(()) => walk.finish().map_err(|error| BrokenChain { error, layers: Vec::new() }),
        Err(error) => Err(BrokenChain { error, layers: walk.into_layers() }),
    }
}

fn advance<O: Opener>(opener: &mut O, walk: &mut Walk<O::File>) -> Result<(), ImageError> {
    loop {
        let bytes = match walk.step()? {
            Step::Done => return Ok(()),
            Step::Read { file, range } => {
                read_range(range, |offset, buffer| opener.read_at(file, offset, buffer))
            }
            Step::Open(request) => {
                match opener.open(&request) {
                    Ok(opened) => walk.opened(opened)?,
                    Err(failure) => return Err(walk.open_failed(failure)),
                }
                continue;
            }
        };
        match bytes {
            Ok(bytes) => walk.supply(bytes)?,
            Err(error) => return Err(walk.read_failed(error)),
        }
    }
}

/// The bytes of a range that a parser asked for; fewer where the file ends before it does. `read_at` reads at an offset
/// into a buffer, and gives the number of bytes read, 0 at the end of the file.
///
/// # Errors
/// What `read_at` says, but for [`io::ErrorKind::Interrupted`], after which it is asked again.
pub fn read_range(
    range: ByteRange,
    mut read_at: impl FnMut(u64, &mut [u8]) -> io::Result<usize>,
) -> io::Result<Vec<u8>> {
    // The length of a range is bounded by the read budget.
    let mut bytes = vec![0; range.length];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let at = range.offset.saturating_add(u64::try_from(filled).unwrap_or(u64::MAX));
        match read_at(at, rest) {
            Ok(0) => break,
            Ok(count) => filled = filled.saturating_add(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_openat2_are_told_apart() {
        let of = |code| OpenFailure::from(io::Error::from_raw_os_error(code));
        assert!(matches!(of(2), OpenFailure::Missing));
        assert!(matches!(of(13), OpenFailure::PermissionDenied(_)));
        assert!(matches!(of(18), OpenFailure::Escapes));
        assert!(matches!(of(40), OpenFailure::Escapes));
        assert!(matches!(of(5), OpenFailure::Io(_)));
    }
}
