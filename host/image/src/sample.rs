//! Small images built byte by byte, and how to inspect what is held in memory. For tests.

use crate::error::ImageError;
use crate::format::Format;
use crate::formats::Header;
use crate::inspection::{Inspection, Progress};

/// Inspects an image held in memory; also returns how many bytes were asked for.
pub(crate) fn inspect(format: Format, bytes: &[u8]) -> (Result<Header, ImageError>, u64) {
    drive(Inspection::new(format, bytes.len() as u64), bytes)
}

/// The same for an inspection that was begun in another way.
pub(crate) fn drive(mut inspection: Inspection, bytes: &[u8]) -> (Result<Header, ImageError>, u64) {
    let mut asked = 0;
    loop {
        match inspection.advance() {
            Err(error) => return (Err(error), asked),
            Ok(Progress::Done(header)) => return (Ok(*header), asked),
            Ok(Progress::Need(range)) => {
                asked += range.length as u64;
                let from = usize::try_from(range.offset).unwrap();
                inspection.supply(bytes[from..from + range.length].to_vec()).unwrap();
            }
        }
    }
}

/// What a header says, even where the image may not be used.
pub(crate) fn facts(format: Format, image: &Bytes) -> Result<Header, ImageError> {
    drive(Inspection::new(format, image.0.len() as u64).facts_only(), &image.0).0
}

/// An image as bytes, overwritten piece by piece.
#[derive(Clone)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl Bytes {
    pub(crate) fn zeros(length: usize) -> Self {
        Self(vec![0; length])
    }

    pub(crate) fn put(mut self, offset: usize, bytes: &[u8]) -> Self {
        self.0[offset..offset + bytes.len()].copy_from_slice(bytes);
        self
    }

    pub(crate) fn be32(self, offset: usize, value: u32) -> Self {
        self.put(offset, &value.to_be_bytes())
    }

    pub(crate) fn be64(self, offset: usize, value: u64) -> Self {
        self.put(offset, &value.to_be_bytes())
    }

    pub(crate) fn le32(self, offset: usize, value: u32) -> Self {
        self.put(offset, &value.to_le_bytes())
    }

    pub(crate) fn le64(self, offset: usize, value: u64) -> Self {
        self.put(offset, &value.to_le_bytes())
    }
}

pub(crate) const LUKS_PAYLOAD_SECTORS: u32 = 4096;
pub(crate) const LUKS_DISK_BYTES: usize = 4096;

/// A LUKS container of version 1 with one slot in use and room for eight.
pub(crate) fn luks1() -> Bytes {
    let mut image = Bytes::zeros(LUKS_PAYLOAD_SECTORS as usize * 512 + LUKS_DISK_BYTES)
        .put(0, b"LUKS\xba\xbe\0\x01")
        .put(8, b"aes")
        .put(40, b"xts-plain64")
        .put(72, b"sha256")
        .be32(104, LUKS_PAYLOAD_SECTORS)
        .be32(108, 64)
        .be32(164, 2000);
    for index in 0..8 {
        let slot = 208 + index * 48;
        let (state, iterations) = if index == 0 { (0x00AC_71F3, 2000) } else { (0xDEAD, 0) };
        let sector = 8 + 504 * u32::try_from(index).unwrap();
        image =
            image.be32(slot, state).be32(slot + 4, iterations).be32(slot + 40, sector).be32(slot + 44, 4000);
    }
    image
}

/// A v3 image of 64 KiB clusters with everything in its place; tests overwrite what they want to break.
#[derive(Clone)]
pub(crate) struct Sample {
    pub(crate) bytes: Vec<u8>,
    extension_end: usize,
}

pub(crate) const CLUSTER: usize = 65_536;
pub(crate) const HEADER_LENGTH: usize = 104;

impl Sample {
    /// An image of 1 MiB without references.
    pub(crate) fn new() -> Self {
        let mut sample = Self { bytes: vec![0; 4 * CLUSTER], extension_end: HEADER_LENGTH };
        sample.put(0, b"QFI\xfb");
        sample.put32(4, 3);
        sample.put32(20, 16);
        sample.put64(24, 1 << 20);
        sample.put32(36, 1);
        sample.put64(40, 3 * 65_536);
        sample.put64(48, 65_536);
        sample.put32(56, 1);
        sample.put32(96, 4);
        sample.put32(100, 104);
        sample
    }

    /// The same as version 2, which has a shorter header.
    pub(crate) fn v2() -> Self {
        let mut sample = Self::new();
        sample.put32(4, 2);
        sample.put(72, &[0; 32]);
        sample.extension_end = 72;
        sample
    }

    pub(crate) fn put(&mut self, offset: usize, bytes: &[u8]) {
        self.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    pub(crate) fn put32(&mut self, offset: usize, value: u32) {
        self.put(offset, &value.to_be_bytes());
    }

    pub(crate) fn put64(&mut self, offset: usize, value: u64) {
        self.put(offset, &value.to_be_bytes());
    }

    pub(crate) fn with32(mut self, offset: usize, value: u32) -> Self {
        self.put32(offset, value);
        self
    }

    pub(crate) fn with64(mut self, offset: usize, value: u64) -> Self {
        self.put64(offset, value);
        self
    }

    /// Appends a header extension.
    pub(crate) fn extension(mut self, kind: u32, payload: &[u8]) -> Self {
        let at = self.extension_end;
        self.put32(at, kind);
        self.put32(at + 4, u32::try_from(payload.len()).unwrap());
        self.put(at + 8, payload);
        self.extension_end = (at + 8 + payload.len()).next_multiple_of(8);
        self
    }

    /// Names a backing file; `format` becomes the extension for it.
    pub(crate) fn backing(self, name: &str, format: Option<&str>) -> Self {
        let mut sample = match format {
            Some(format) => self.extension(0xE279_2ACA, format.as_bytes()),
            None => self,
        };
        let at = sample.extension_end + 8;
        sample.put(at, name.as_bytes());
        sample.put64(8, at as u64);
        sample.put32(16, u32::try_from(name.len()).unwrap());
        sample
    }

    /// Keeps the data in an external file.
    pub(crate) fn data_file(self, name: &str) -> Self {
        self.extension(0x4441_5441, name.as_bytes()).with64(72, 4)
    }
}
