//! Reading the header of one image of declared format, without doing the reading.

use crate::error::{ErrorKind, ImageError};
use crate::format::Format;
use crate::formats::{self, Header};
use crate::windows::{ByteRange, Halt, Ran, Reading, Windows};

/// What an [`Inspection`], or another reading of an image, wants next.
#[derive(Debug)]
pub enum Progress<T = Header> {
    /// Read these bytes and supply them.
    Need(ByteRange),
    /// It is at its end: the header is understood and sound.
    Done(Box<T>),
}

/// A parser of one header. It asks for at most [`crate::READ_BUDGET`] bytes, and for none of a raw image.
#[derive(Debug)]
pub struct Inspection {
    parse: Parse,
    reading: Reading,
    facts_only: bool,
    screened: bool,
}

/// What the image is declared to be.
#[derive(Debug, Clone, Copy)]
enum Parse {
    Image(Format),
    Luks,
}

impl Inspection {
    /// Starts on an image of `length` bytes that is declared to be of `format`.
    #[must_use]
    pub fn new(format: Format, length: u64) -> Self {
        Self::of(Parse::Image(format), length)
    }

    /// Starts on a raw image whose content is declared to be a LUKS container.
    #[must_use]
    pub fn luks(length: u64) -> Self {
        Self::of(Parse::Luks, length)
    }

    fn of(parse: Parse, length: u64) -> Self {
        Self { parse, reading: Reading::new(length), facts_only: false, screened: false }
    }

    /// Reports what a sound header says even where the image may not be used, for listings.
    #[must_use]
    pub fn facts_only(self) -> Self {
        Self { facts_only: true, ..self }
    }

    /// Looks behind the header as well: whether tables point into one another or out of the image, as far as
    /// the read budget reaches. For images from elsewhere, before anybody opens them; a start does not need it.
    #[must_use]
    pub fn screened(self) -> Self {
        Self { screened: true, ..self }
    }

    /// Parses as far as the bytes at hand allow.
    ///
    /// # Errors
    /// The refusal of a header that is malformed, truncated or unsupported.
    pub fn advance(&mut self) -> Result<Progress, ImageError> {
        let Self { parse, facts_only, screened, .. } = *self;
        let ran = self.reading.run(|image| {
            let (format, header) = match parse {
                Parse::Image(format) => (format, formats::parse(format, image)?),
                Parse::Luks => (Format::Raw, formats::parse_luks(image)?),
            };
            if !facts_only {
                formats::usable(format, &header)?;
            }
            if screened {
                screen(format, image)?;
            }
            Ok(header)
        })?;
        Ok(match ran {
            Ran::Need(range) => Progress::Need(range),
            Ran::Done(header) => Progress::Done(Box::new(header)),
        })
    }

    /// Takes the bytes that were asked for.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Truncated`] when they are fewer than asked: the file shrank since its length was taken.
    /// [`crate::ErrorKind::InvalidRequest`] when nothing was asked for.
    pub fn supply(&mut self, bytes: Vec<u8>) -> Result<(), ImageError> {
        self.reading.supply(bytes)
    }
}

/// What is too large to be screened within the budget is refused from elsewhere only, see [`crate::assess`].
fn screen(format: Format, image: &Windows) -> Result<(), Halt> {
    match formats::screen(format, image) {
        Err(Halt::Fault(error)) if error.kind() == ErrorKind::TooComplex => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::Encryption;
    use crate::sample::{self, Sample};

    #[test]
    fn a_raw_image_is_data_and_needs_no_byte() {
        let Ok(Progress::Done(header)) = Inspection::new(Format::Raw, 4711).advance() else {
            panic!("raw needs nothing")
        };
        assert_eq!(header.virtual_size, 5120, "whole sectors");
        assert!(header.backing.is_none());
    }

    #[test]
    fn a_file_that_shrinks_is_truncated() {
        let mut inspection = Inspection::new(Format::Qcow2, 65536);
        assert!(matches!(inspection.advance(), Ok(Progress::Need(_))));
        assert_eq!(inspection.supply(vec![0; 3]).unwrap_err().kind(), ErrorKind::Truncated);
        assert_eq!(inspection.supply(vec![]).unwrap_err().kind(), ErrorKind::InvalidRequest);
    }

    #[test]
    fn what_may_not_be_used_is_refused_but_its_facts_can_be_had() {
        let image = Sample::new().with32(32, 1).bytes;
        let inspection = Inspection::new(Format::Qcow2, image.len() as u64);
        assert_eq!(sample::drive(inspection, &image).0.unwrap_err().kind(), ErrorKind::Unsupported);
        let inspection = Inspection::new(Format::Qcow2, image.len() as u64).facts_only();
        assert_eq!(sample::drive(inspection, &image).0.unwrap().encryption, Some(Encryption::Aes));
    }

    #[test]
    fn a_format_that_is_not_parsed_is_refused_by_name() {
        let error = Inspection::new(Format::Fat, 65536).advance().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FormatUnsupported);
        assert!(error.to_string().contains("fat"), "{error}");
    }
}
