//! Flash images as what a guest reads of them: plain bytes are that already, other formats are read and made by who
//! can.

use std::error::Error;
use std::fmt::Debug;
use std::fs::File;
use std::io::{self, Read as _};

use crate::pflash::FlashFormat;
use crate::volume::MAX_STORE_BYTES;

/// How a failure of reading or making an image is told.
pub type FormatFailure = Box<dyn Error + Send + Sync>;

/// Most bytes of a file that holds a variable store: as many as the store may have, and the tables of its format.
pub const MAX_STORE_FILE_BYTES: u64 = MAX_STORE_BYTES + (4 << 20);

/// Reads and makes flash images of formats that are not plain bytes.
///
/// One file is all that is ever opened: an image that keeps its data in another, or is encrypted, is refused, and what
/// it names below it is not there (S0).
pub trait Formats: Debug + Send + Sync {
    /// What a guest reads of the image, at most [`MAX_STORE_BYTES`].
    ///
    /// # Errors
    /// [`InUse`] when something has it open for writing; else why it cannot be read.
    fn content(&self, image: &File, format: FlashFormat) -> Result<Vec<u8>, FormatFailure>;

    /// The bytes of an image that a guest reads this content from.
    ///
    /// # Errors
    /// Why it cannot be made.
    fn image(&self, content: &[u8], format: FlashFormat) -> Result<Vec<u8>, FormatFailure>;
}

/// Something has the image open.
#[derive(Debug)]
pub struct InUse(
    /// What found it out.
    pub FormatFailure,
);

impl std::fmt::Display for InUse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("something has the image open")
    }
}

impl Error for InUse {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.0.as_ref())
    }
}

/// Plain bytes, and nothing else.
#[derive(Debug, Clone, Copy, Default)]
pub struct PlainBytes;

impl Formats for PlainBytes {
    fn content(&self, image: &File, format: FlashFormat) -> Result<Vec<u8>, FormatFailure> {
        only_raw(format)?;
        Ok(read_bounded(image, MAX_STORE_BYTES)?)
    }

    fn image(&self, content: &[u8], format: FlashFormat) -> Result<Vec<u8>, FormatFailure> {
        only_raw(format)?;
        Ok(content.to_vec())
    }
}

fn only_raw(format: FlashFormat) -> Result<(), FormatFailure> {
    match format {
        FlashFormat::Raw => Ok(()),
        other => Err(format!("nobody here reads images of format {}", other.name()).into()),
    }
}

/// All of a file, when it has no more than `most` bytes.
///
/// # Errors
/// `FileTooLarge`, or what the operating system says.
pub fn read_bounded(file: &File, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > most {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}
