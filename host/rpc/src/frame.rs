//! Frames: a length, a header of six words, a payload.

use thiserror::Error;

use crate::xdr::{Decoder, EncodeError, Encoder, Xdr};

/// Most bytes of a frame behind its length. Clients send uploads in frames of some megabytes.
pub const FRAME_MAX_BYTES: usize = 32 << 20;
/// Bytes of the length.
const LENGTH_BYTES: usize = 4;
/// Bytes of the number of descriptors, in a frame that has them.
const COUNT_BYTES: usize = 4;
/// Bytes of the header.
const HEADER_BYTES: usize = 24;
/// Most descriptors that come with one frame.
pub const DESCRIPTORS_MAX: usize = 32;
/// Most bytes of a piece of a stream that we send in one frame.
pub const STREAM_PIECE_BYTES: usize = 256 << 10;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// A request.
    Call,
    /// The answer to one.
    Reply,
    /// What nobody asked for.
    Event,
    /// A piece of a stream, or its end.
    Stream,
    /// A request with descriptors.
    CallWithDescriptors,
    /// An answer with descriptors.
    ReplyWithDescriptors,
    /// A gap of a sparse stream.
    StreamHole,
}

const KINDS: [(FrameKind, i32); 7] = [
    (FrameKind::Call, 0),
    (FrameKind::Reply, 1),
    (FrameKind::Event, 2),
    (FrameKind::Stream, 3),
    (FrameKind::CallWithDescriptors, 4),
    (FrameKind::ReplyWithDescriptors, 5),
    (FrameKind::StreamHole, 6),
];

/// How what the frame belongs to stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is as it should be; of a stream: it is finished.
    Good,
    /// The payload is an error; of a stream: it is given up.
    Failed,
    /// There is more of the stream.
    More,
}

const STATUSES: [(Status, i32); 3] = [(Status::Good, 0), (Status::Failed, 1), (Status::More, 2)];

/// What comes before each payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The number of the program.
    pub program: u32,
    /// The version of the program.
    pub version: u32,
    /// The number of the procedure within the program.
    pub procedure: i32,
    /// What the frame is.
    pub kind: FrameKind,
    /// Which call this belongs to.
    pub serial: u32,
    /// How it stands.
    pub status: Status,
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub header: Header,
    /// What is in it.
    pub payload: Vec<u8>,
    /// How many descriptors come with it, up to [`DESCRIPTORS_MAX`]; a frame whose kind has none has 0. Each comes behind
    /// the frame, in the order of their meaning, with one byte of its own, which the frame's length does not count.
    pub descriptors: usize,
}

/// Bytes that are no frame. Nothing behind them can be understood any more.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// A length that no frame can have.
    #[error("a frame of {0} bytes; one has {least} to {most}", least = LENGTH_BYTES + HEADER_BYTES, most = FRAME_MAX_BYTES + LENGTH_BYTES)]
    Length(u32),
    /// A kind or status that there is not.
    #[error("{what} {number} stands for nothing")]
    Number {
        /// `kind` or `status`.
        what: &'static str,
        /// What the frame says.
        number: i32,
    },
    /// A payload that is too long to be sent.
    #[error(transparent)]
    TooLong(#[from] EncodeError),
}

impl FrameKind {
    /// Whether descriptors come with it, so that their number is told before its payload.
    fn has_descriptors(self) -> bool {
        matches!(self, Self::CallWithDescriptors | Self::ReplyWithDescriptors)
    }
}

impl Frame {
    /// A frame without descriptors.
    #[must_use]
    pub fn new(header: Header, payload: Vec<u8>) -> Self {
        Self { header, payload, descriptors: 0 }
    }

    /// The frame as it is sent. Its descriptors are sent behind it.
    ///
    /// # Errors
    /// [`FrameError::TooLong`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, FrameError> {
        let mut encoder = Encoder::default();
        let count =
            self.header.kind.has_descriptors().then(|| u32::try_from(self.descriptors).unwrap_or(u32::MAX));
        let length = LENGTH_BYTES + HEADER_BYTES + count.map_or(0, |_| COUNT_BYTES) + self.payload.len();
        let limit = FRAME_MAX_BYTES + LENGTH_BYTES;
        let too_long = EncodeError { found: length, limit };
        let word = u32::try_from(length).ok().filter(|_| length <= limit).ok_or(too_long)?;
        word.write(&mut encoder)?;
        self.header.write(&mut encoder)?;
        if let Some(count) = count {
            count.write(&mut encoder)?;
        }
        let mut bytes = encoder.into_bytes();
        bytes.extend_from_slice(&self.payload);
        Ok(bytes)
    }
}

impl Header {
    fn write(&self, to: &mut Encoder) -> Result<(), EncodeError> {
        self.program.write(to)?;
        self.version.write(to)?;
        self.procedure.write(to)?;
        number_of(&KINDS, self.kind).write(to)?;
        self.serial.write(to)?;
        number_of(&STATUSES, self.status).write(to)
    }

    fn read(bytes: &[u8]) -> Result<Self, FrameError> {
        let mut from = Decoder::new(bytes);
        let mut word = || u32::read(&mut from).map_err(|_| FrameError::Length(0));
        let (program, version, procedure) = (word()?, word()?, word()?.cast_signed());
        let (kind, serial, status) = (word()?.cast_signed(), word()?, word()?.cast_signed());
        Ok(Self {
            program,
            version,
            procedure,
            kind: of_number(&KINDS, "kind", kind)?,
            serial,
            status: of_number(&STATUSES, "status", status)?,
        })
    }
}

fn number_of<T: PartialEq>(table: &[(T, i32)], value: T) -> i32 {
    table.iter().find(|(known, _)| *known == value).map_or(0, |(_, number)| *number)
}

fn of_number<T: Copy>(table: &[(T, i32)], what: &'static str, number: i32) -> Result<T, FrameError> {
    let found = table.iter().find(|(_, known)| *known == number);
    found.map(|(value, _)| *value).ok_or(FrameError::Number { what, number })
}

/// Cuts what a peer sends into frames.
///
/// It holds no more than what came: the length that a peer announces makes nothing.
#[derive(Debug, Default)]
pub struct Assembler {
    bytes: Vec<u8>,
}

impl Assembler {
    /// Takes what came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// How many bytes it holds.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Whether a frame has begun and not ended.
    #[must_use]
    pub fn is_within_a_frame(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// The next frame; nothing when it has not come to its end.
    ///
    /// # Errors
    /// [`FrameError`]: there is no frame to follow, and the connection is of no use any more.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some(length) = self.bytes.first_chunk().map(|bytes| u32::from_be_bytes(*bytes)) else {
            return Ok(None);
        };
        let total = usize::try_from(length).unwrap_or(usize::MAX);
        if !(LENGTH_BYTES + HEADER_BYTES..=FRAME_MAX_BYTES + LENGTH_BYTES).contains(&total) {
            return Err(FrameError::Length(length));
        }
        // The header alone tells what can never become a frame.
        let Some(header) = self.bytes.get(LENGTH_BYTES..LENGTH_BYTES + HEADER_BYTES) else { return Ok(None) };
        let header = Header::read(header)?;
        let (count_bytes, descriptors) = match header.kind.has_descriptors() {
            false => (0, 0),
            true => match self.descriptors(total)? {
                Some(descriptors) => (COUNT_BYTES, descriptors),
                None => return Ok(None),
            },
        };
        let Some(rest) = self.bytes.get(total + descriptors..).map(<[u8]>::to_vec) else { return Ok(None) };
        let mut frame = std::mem::replace(&mut self.bytes, rest);
        frame.truncate(total);
        let payload = frame.split_off(LENGTH_BYTES + HEADER_BYTES + count_bytes);
        Ok(Some(Frame { header, payload, descriptors }))
    }

    /// How many descriptors come with the frame in front, which has `total` bytes; nothing when that has not come.
    fn descriptors(&self, total: usize) -> Result<Option<usize>, FrameError> {
        let at = LENGTH_BYTES + HEADER_BYTES;
        if total < at + COUNT_BYTES {
            return Err(FrameError::Length(u32::try_from(total).unwrap_or(u32::MAX)));
        }
        let Some(count) = self.bytes.get(at..).and_then(<[u8]>::first_chunk) else { return Ok(None) };
        let count = u32::from_be_bytes(*count);
        match usize::try_from(count) {
            Ok(few) if few <= DESCRIPTORS_MAX => Ok(Some(few)),
            _ => Err(FrameError::Number { what: "number of descriptors", number: count.cast_signed() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn call(payload: &[u8]) -> Frame {
        let header = Header {
            program: 0x2000_8086,
            version: 1,
            procedure: 1,
            kind: FrameKind::Call,
            serial: 0,
            status: Status::Good,
        };
        Frame::new(header, payload.to_vec())
    }

    #[test]
    fn frame_is_laid_out_as_clients_lay_it_out() {
        let bytes = call(&[0, 0, 0, 9]).to_bytes().unwrap();
        assert_eq!(
            bytes,
            [
                0, 0, 0, 32, 0x20, 0, 0x80, 0x86, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                0, 0, 0, 9
            ]
        );
    }

    proptest! {
        #[test]
        fn frames_come_out_however_they_are_cut(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..5), step in 1_usize..40,
        ) {
            let frames: Vec<_> = payloads.iter().map(|payload| call(payload)).collect();
            let bytes: Vec<u8> = frames.iter().flat_map(|frame| frame.to_bytes().unwrap()).collect();
            let mut assembler = Assembler::default();
            let mut found = Vec::new();
            for piece in bytes.chunks(step) {
                assembler.push(piece);
                while let Some(frame) = assembler.next_frame().unwrap() {
                    found.push(frame);
                }
            }
            prop_assert_eq!(found, frames);
            prop_assert!(!assembler.is_within_a_frame());
        }

        #[test]
        fn bytes_of_chance_end_it_or_wait(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut assembler = Assembler::default();
            assembler.push(&bytes);
            while let Ok(Some(_)) = assembler.next_frame() {}
        }
    }

    #[test]
    fn bytes_of_descriptors_are_no_part_of_a_frame() {
        let mut with = call(&[0, 0, 0, 9]);
        (with.header.kind, with.descriptors) = (FrameKind::CallWithDescriptors, 2);
        let mut bytes = with.to_bytes().unwrap();
        assert_eq!(bytes[28..], [0, 0, 0, 2, 0, 0, 0, 9]);
        let mut assembler = Assembler::default();
        assembler.push(&bytes);
        assert_eq!(assembler.next_frame(), Ok(None), "the descriptors have not come");
        bytes = [&[0, 0][..], &call(&[]).to_bytes().unwrap()].concat();
        assembler.push(&bytes);
        assert_eq!(assembler.next_frame(), Ok(Some(with)));
        assert_eq!(assembler.next_frame(), Ok(Some(call(&[]))));
        assert!(!assembler.is_within_a_frame());
    }

    #[test]
    fn more_descriptors_than_there_can_be_are_refused() {
        let mut with = call(&[]);
        (with.header.kind, with.descriptors) = (FrameKind::CallWithDescriptors, DESCRIPTORS_MAX + 1);
        let mut assembler = Assembler::default();
        assembler.push(&with.to_bytes().unwrap());
        assert_eq!(
            assembler.next_frame(),
            Err(FrameError::Number { what: "number of descriptors", number: 33 })
        );
        let mut assembler = Assembler::default();
        let mut short = call(&[]).to_bytes().unwrap();
        short[19] = 4;
        assembler.push(&short);
        assert_eq!(assembler.next_frame(), Err(FrameError::Length(28)), "there is no place for their number");
    }

    #[test]
    fn lengths_that_no_frame_has_are_refused_at_once() {
        for length in [0_u32, 27, 0x0200_0005, u32::MAX] {
            let mut assembler = Assembler::default();
            assembler.push(&length.to_be_bytes());
            assert_eq!(assembler.next_frame(), Err(FrameError::Length(length)));
        }
        let mut assembler = Assembler::default();
        assembler.push(&0x0200_0004_u32.to_be_bytes());
        assert_eq!(assembler.next_frame(), Ok(None));
    }

    #[test]
    fn kind_that_there_is_not_is_refused_before_its_payload_comes() {
        let mut bytes = call(&[0; 100]).to_bytes().unwrap();
        bytes[19] = 9;
        let mut assembler = Assembler::default();
        assembler.push(&bytes[..28]);
        assert_eq!(assembler.next_frame(), Err(FrameError::Number { what: "kind", number: 9 }));
    }
}
