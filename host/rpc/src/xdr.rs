//! XDR as libvirt uses it: every limit is checked before anything is allocated.

use thiserror::Error;

use crate::subject::Handle;

/// Longest text, in bytes.
pub const TEXT_MAX_BYTES: usize = 4 << 20;
/// Every value takes a multiple of this many bytes.
const UNIT: usize = 4;

/// Why bytes are no value of the kind that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The payload ends within a value.
    #[error("the message ends within a value")]
    Truncated,
    /// A count above its limit.
    #[error("{found} elements, at most {limit} are allowed")]
    TooMany {
        /// What the message says.
        found: u32,
        /// What is allowed.
        limit: usize,
    },
    /// A text that is not UTF-8.
    #[error("a text is not UTF-8")]
    Text,
    /// A number that stands for nothing, or does not fit where it is.
    #[error("{0} is not a value that can stand here")]
    Value(i64),
}

/// A value that does not fit the protocol.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{found} elements do not fit into a message, {limit} do")]
pub struct EncodeError {
    /// How many there are.
    pub found: usize,
    /// How many may be.
    pub limit: usize,
}

/// A value of the protocol.
pub trait Xdr: Sized {
    /// The fewest bytes that such a value takes.
    const LEAST_BYTES: usize;

    /// Appends the value.
    ///
    /// # Errors
    /// When it is longer than the protocol allows.
    fn write(&self, to: &mut Encoder) -> Result<(), EncodeError>;

    /// Takes the value off the front.
    ///
    /// # Errors
    /// See [`DecodeError`].
    fn read(from: &mut Decoder<'_>) -> Result<Self, DecodeError>;

    /// Shows every handle in the value.
    fn handles<'a>(&'a self, _see: &mut dyn FnMut(Handle<'a>)) {}
}

/// Bytes that are being made.
#[derive(Debug, Default)]
pub struct Encoder {
    bytes: Vec<u8>,
}

impl Encoder {
    /// What was written.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn word(&mut self, word: u32) {
        self.bytes.extend_from_slice(&word.to_be_bytes());
    }

    fn padded(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(UNIT), 0);
    }

    fn count(&mut self, found: usize, limit: usize) -> Result<(), EncodeError> {
        let word = u32::try_from(found).ok().filter(|_| found <= limit);
        self.word(word.ok_or(EncodeError { found, limit })?);
        Ok(())
    }
}

/// Bytes that are being read.
#[derive(Debug)]
pub struct Decoder<'a> {
    left: &'a [u8],
}

impl<'a> Decoder<'a> {
    /// Reads from the front of these.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    /// How many bytes are left.
    #[must_use]
    pub fn left(&self) -> usize {
        self.left.len()
    }

    fn take(&mut self, bytes: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, left) = self.left.split_at_checked(bytes).ok_or(DecodeError::Truncated)?;
        self.left = left;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        self.take(N)?.try_into().map_err(|_| DecodeError::Truncated)
    }

    fn word(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    fn padded(&mut self, bytes: usize) -> Result<&'a [u8], DecodeError> {
        let taken = self.take(bytes)?;
        self.take(bytes.next_multiple_of(UNIT) - bytes)?;
        Ok(taken)
    }

    /// A count of things of at least `least` bytes each: no more than the protocol allows, nor than can follow.
    fn count(&mut self, limit: usize, least: usize) -> Result<usize, DecodeError> {
        let found = self.word()?;
        let count = usize::try_from(found).unwrap_or(usize::MAX);
        if count > limit {
            return Err(DecodeError::TooMany { found, limit });
        }
        match count.checked_mul(least) {
            Some(needed) if needed <= self.left.len() => Ok(count),
            _ => Err(DecodeError::Truncated),
        }
    }
}

/// Encodes one value.
///
/// # Errors
/// See [`Xdr::write`].
pub fn encode(value: &impl Xdr) -> Result<Vec<u8>, EncodeError> {
    let mut encoder = Encoder::default();
    value.write(&mut encoder)?;
    Ok(encoder.into_bytes())
}

/// Decodes one value; what follows it is not looked at, as libvirt does not look either.
///
/// # Errors
/// See [`DecodeError`].
pub fn decode<T: Xdr>(bytes: &[u8]) -> Result<T, DecodeError> {
    T::read(&mut Decoder::new(bytes))
}

macro_rules! number {
    ($($number:ty),*) => {$(
        impl Xdr for $number {
            const LEAST_BYTES: usize = size_of::<$number>();

            fn write(&self, to: &mut Encoder) -> Result<(), EncodeError> {
                to.bytes.extend_from_slice(&self.to_be_bytes());
                Ok(())
            }

            fn read(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                Ok(Self::from_be_bytes(from.array()?))
            }
        }
    )*};
}
number!(i32, u32, i64, u64, f64);

/// A number of fewer bytes takes a whole word all the same.
macro_rules! narrow {
    ($($narrow:ty),*) => {$(
        impl Xdr for $narrow {
            const LEAST_BYTES: usize = UNIT;

            fn write(&self, to: &mut Encoder) -> Result<(), EncodeError> {
                i32::from(*self).write(to)
            }

            fn read(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                let word = i32::read(from)?;
                Self::try_from(word).map_err(|_| DecodeError::Value(word.into()))
            }
        }
    )*};
}
narrow!(u8, i8, u16);

impl Xdr for String {
    const LEAST_BYTES: usize = UNIT;

    fn write(&self, to: &mut Encoder) -> Result<(), EncodeError> {
        to.count(self.len(), TEXT_MAX_BYTES)?;
        to.padded(self.as_bytes());
        Ok(())
    }

    fn read(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let length = from.count(TEXT_MAX_BYTES, 1)?;
        let text = std::str::from_utf8(from.padded(length)?).map_err(|_| DecodeError::Text)?;
        Ok(text.to_owned())
    }
}

/// Whatever is not zero says that something follows: one client writes 0x01000000.
impl<T: Xdr> Xdr for Option<T> {
    const LEAST_BYTES: usize = UNIT;

    fn write(&self, to: &mut Encoder) -> Result<(), EncodeError> {
        to.word(u32::from(self.is_some()));
        self.as_ref().map_or(Ok(()), |value| value.write(to))
    }

    fn read(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        (from.word()? != 0).then(|| T::read(from)).transpose()
    }

    fn handles<'a>(&'a self, see: &mut dyn FnMut(Handle<'a>)) {
        self.iter().for_each(|value| value.handles(see));
    }
}

/// An identifier: its bytes in the order of its text.
impl Xdr for [u8; 16] {
    const LEAST_BYTES: usize = 16;

    fn write(&self, to: &mut Encoder) -> Result<(), EncodeError> {
        to.bytes.extend_from_slice(self);
        Ok(())
    }

    fn read(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        from.array()
    }
}

/// Any number of things up to a limit. A list of `u8` is one of words, as libvirt writes its texts of characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List<T, const MAX: usize>(pub Vec<T>);

impl<T: Xdr, const MAX: usize> Xdr for List<T, MAX> {
    const LEAST_BYTES: usize = UNIT;

    fn write(&self, to: &mut Encoder) -> Result<(), EncodeError> {
        to.count(self.0.len(), MAX)?;
        // Within the limit that was just checked.
        to.bytes.reserve(self.0.len().saturating_mul(T::LEAST_BYTES));
        self.0.iter().try_for_each(|item| item.write(to))
    }

    fn read(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        // Of nothing, there would be no end.
        let count = from.count(MAX, T::LEAST_BYTES.max(1))?;
        (0..count).map(|_| T::read(from)).collect::<Result<_, _>>().map(Self)
    }

    fn handles<'a>(&'a self, see: &mut dyn FnMut(Handle<'a>)) {
        self.0.iter().for_each(|item| item.handles(see));
    }
}

/// Any number of bytes up to a limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opaque<const MAX: usize>(pub Vec<u8>);

impl<const MAX: usize> Xdr for Opaque<MAX> {
    const LEAST_BYTES: usize = UNIT;

    fn write(&self, to: &mut Encoder) -> Result<(), EncodeError> {
        to.count(self.0.len(), MAX)?;
        to.padded(&self.0);
        Ok(())
    }

    fn read(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let length = from.count(MAX, 1)?;
        Ok(Self(from.padded(length)?.to_vec()))
    }
}

/// A text of a fixed number of characters, a word each, filled up with zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Characters<const N: usize>(pub [u8; N]);

impl<const N: usize> Characters<N> {
    /// As much of the text as fits, with a zero behind it.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut characters = [0; N];
        let room = N.saturating_sub(1);
        characters.iter_mut().zip(text.bytes().take(room)).for_each(|(to, from)| *to = from);
        Self(characters)
    }
}

impl<const N: usize> Xdr for Characters<N> {
    const LEAST_BYTES: usize = UNIT * N;

    fn write(&self, to: &mut Encoder) -> Result<(), EncodeError> {
        self.0.iter().try_for_each(|character| character.write(to))
    }

    fn read(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut characters = [0; N];
        for character in &mut characters {
            *character = u8::read(from)?;
        }
        Ok(Self(characters))
    }
}

impl Xdr for () {
    const LEAST_BYTES: usize = 0;

    fn write(&self, _: &mut Encoder) -> Result<(), EncodeError> {
        Ok(())
    }

    fn read(_: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(())
    }
}

/// One after the other.
impl<A: Xdr, B: Xdr> Xdr for (A, B) {
    const LEAST_BYTES: usize = A::LEAST_BYTES + B::LEAST_BYTES;

    fn write(&self, to: &mut Encoder) -> Result<(), EncodeError> {
        self.0.write(to)?;
        self.1.write(to)
    }

    fn read(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok((Xdr::read(from)?, Xdr::read(from)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn same<T: Xdr + PartialEq + std::fmt::Debug>(value: &T) {
        let bytes = encode(value).unwrap();
        assert_eq!(bytes.len() % UNIT, 0);
        assert!(bytes.len() >= T::LEAST_BYTES);
        assert_eq!(&decode::<T>(&bytes).unwrap(), value);
        for cut in 0..bytes.len() {
            assert!(decode::<T>(&bytes[..cut]).is_err(), "{value:?} cut at {cut}");
        }
    }

    proptest! {
        #[test]
        fn values_come_back(
            text in ".{0,9}", number: i64, small: u16, bytes in prop::collection::vec(any::<u8>(), 0..9),
            list in prop::collection::vec(".{0,3}", 0..4), uuid: [u8; 16],
        ) {
            same(&text);
            same(&number);
            same(&small);
            same(&Some(text));
            same(&Opaque::<9>(bytes.clone()));
            same(&List::<u8, 9>(bytes));
            same(&List::<String, 4>(list));
            same(&uuid);
        }

        #[test]
        fn nothing_that_comes_makes_more_than_it_holds(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(list) = decode::<List<List<u32, 100>, 1000>>(&bytes) {
                prop_assert!(list.0.len() * UNIT <= bytes.len());
            }
            if let Ok(text) = decode::<String>(&bytes) {
                prop_assert!(text.len() <= bytes.len());
            }
        }
    }

    #[test]
    fn characters_take_a_word_each() {
        assert_eq!(encode(&Characters::<32>::of("x86_64")).unwrap().len(), 128);
        assert_eq!(encode(&List::<u8, 4>(vec![65])).unwrap(), [0, 0, 0, 1, 0, 0, 0, 65]);
        assert_eq!(Characters::<3>::of("abcd").0, *b"ab\0");
    }

    #[test]
    fn any_number_but_zero_says_that_something_follows() {
        assert_eq!(decode::<Option<u32>>(&[1, 0, 0, 0, 0, 0, 0, 7]).unwrap(), Some(7));
        assert_eq!(decode::<Option<u32>>(&[0, 0, 0, 0]).unwrap(), None);
        assert_eq!(encode(&Some(7_u32)).unwrap(), [0, 0, 0, 1, 0, 0, 0, 7]);
    }

    #[test]
    fn limits_hold_before_anything_is_made() {
        let many = u32::MAX.to_be_bytes();
        assert!(matches!(decode::<String>(&many), Err(DecodeError::TooMany { .. })));
        assert_eq!(decode::<List<u32, { usize::MAX }>>(&many), Err(DecodeError::Truncated));
        assert_eq!(decode::<String>(&[0, 0x3f, 0, 0]), Err(DecodeError::Truncated));
        assert!(encode(&List::<u32, 1>(vec![1, 2])).is_err());
        assert_eq!(decode::<String>(&[0, 0, 0, 1, 0xff, 0, 0, 0]), Err(DecodeError::Text));
        assert_eq!(decode::<u8>(&[0, 0, 1, 0]), Err(DecodeError::Value(256)));
    }
}
