//! Telling a format by content. For advice to an operator only; a chain never uses it.

use crate::content::{self, Content, Mark};
use crate::error::ImageError;
use crate::format::Format;
use crate::inspection::Progress;
use crate::windows::{Halt, Ran, Reading, Windows};

/// How many bytes from the start of an image [`recognise`] looks at.
pub const RECOGNISE_BYTES: usize = 1024;

/// What the first bytes of an image look like, for who has no more than one read: `None` when they look like no
/// format, as raw data does, and also for what only a [`Recognition`] finds, discs and what a trailer marks.
///
/// The answer is a suggestion: a guest that owns a raw disk can write any mark into it.
#[must_use]
pub fn recognise(start: &[u8]) -> Option<Format> {
    first_image(&content::at_start(start.get(..RECOGNISE_BYTES).unwrap_or(start)))
}

/// Looks at the places where formats leave their marks: the start of an image, the volume descriptor of a disc,
/// the last sector. What stands at the start counts before the rest.
///
/// The answer is a suggestion: a guest that owns a raw disk can write any mark into it.
#[derive(Debug)]
pub struct Recognition {
    reading: Reading,
}

impl Recognition {
    /// Starts on an image of `length` bytes.
    #[must_use]
    pub fn new(length: u64) -> Self {
        Self { reading: Reading::new(length) }
    }

    /// Goes on as far as the bytes at hand allow, at most 5 KiB. Ends with the format that the image looks like;
    /// `None` when it looks like none, as raw data does.
    ///
    /// # Errors
    /// None that its own requests lead to; what reading can fail with is the caller's.
    pub fn advance(&mut self) -> Result<Progress<Option<Format>>, ImageError> {
        Ok(match self.reading.run(everywhere)? {
            Ran::Need(range) => Progress::Need(range),
            Ran::Done(format) => Progress::Done(Box::new(format)),
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

fn everywhere(image: &Windows) -> Result<Option<Format>, Halt> {
    Ok(first_image(&content::marks(image)?))
}

fn first_image(marks: &[Mark]) -> Option<Format> {
    marks.iter().find_map(|mark| match mark.content {
        Content::Image(format) => Some(format),
        Content::Luks(_) | Content::Wrapped(_) | Content::Partitions => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Bytes;

    fn recognised(image: &Bytes) -> Option<Format> {
        let mut recognition = Recognition::new(image.0.len() as u64);
        let mut asked = 0;
        loop {
            match recognition.advance().unwrap() {
                Progress::Done(format) => return *format,
                Progress::Need(range) => {
                    asked += range.length;
                    assert!(asked <= 5 << 10, "{asked} bytes");
                    let from = usize::try_from(range.offset).unwrap();
                    recognition.supply(image.0[from..from + range.length].to_vec()).unwrap();
                }
            }
        }
    }

    #[test]
    fn marks_count_wherever_they_stand_and_those_at_the_start_first() {
        let disc = Bytes::zeros(40_960).put(32_769, b"CD001");
        assert_eq!(recognised(&disc), Some(Format::Iso));
        let fixed = Bytes::zeros(40_960).put(40_448, b"conectix");
        assert_eq!(recognised(&fixed), Some(Format::Vpc));
        assert_eq!(recognised(&Bytes::zeros(40_960).put(40_448, b"koly")), Some(Format::Dmg));
        assert_eq!(recognised(&disc.put(40_448, b"koly").put(0, b"QFI\xfb")), Some(Format::Qcow2));
    }

    #[test]
    fn data_is_nothing_in_particular() {
        for length in [0, 1, 512, 40_960] {
            assert_eq!(recognised(&Bytes::zeros(length)), None);
        }
        assert_eq!(recognised(&Bytes::zeros(512).put(0, b"LUKS\xba\xbe\0\x01")), None);
    }

    #[test]
    fn one_read_does_for_what_stands_at_the_start() {
        let disc = Bytes::zeros(40_960).put(32_769, b"CD001");
        assert_eq!(recognise(&disc.0), None);
        let image = disc.put(64, b"\x7f\x10\xda\xbe");
        assert_eq!(recognise(&image.0), Some(Format::Vdi));
        assert_eq!(recognise(&image.0[..RECOGNISE_BYTES]), Some(Format::Vdi));
        assert_eq!(recognise(&[]), None);
    }
}
