//! Small qcow2 images: sound but for what a case breaks on purpose.

use arbitrary::Arbitrary;

use crate::oracles::header::Sparse;

/// Length of a sound image without references: header, refcounts and tables in clusters of 64 KiB.
const LENGTH: u64 = 4 << 16;
/// Length of a version 3 header.
const HEADER: usize = 104;
/// Header extension that names the backing format.
const BACKING_FORMAT: u32 = 0xE279_2ACA;
/// Header extension that names the external data file.
const DATA_FILE: u32 = 0x4441_5441;

/// What is wrong with an image, if anything.
#[derive(Debug, Clone, Arbitrary)]
pub struct Damage {
    /// Offset below 1 KiB and the byte that is put there.
    patches: Vec<(u16, u8)>,
    /// By how much the file is shorter than it should be, in KiB.
    missing: u8,
}

impl Damage {
    /// Applies it; three cases in four are not damaged at all.
    pub fn apply(&self, image: &mut Sparse) {
        if self.patches.len() % 4 != 0 {
            return;
        }
        for (offset, byte) in &self.patches {
            if let Some(place) = image.bytes.get_mut(usize::from(*offset) % 1024) {
                *place = *byte;
            }
        }
        let missing = if self.missing < 128 { 0 } else { u64::from(self.missing - 128) << 10 };
        image.length = image.length.saturating_sub(missing);
    }
}

/// A version 3 image of 1 MiB that names these files.
#[must_use]
pub fn image(backing: Option<&str>, format: Option<&str>, data_file: Option<&str>) -> Sparse {
    let mut bytes = vec![0; HEADER];
    bytes[..4].copy_from_slice(b"QFI\xfb");
    put32(&mut bytes, 4, 3);
    put32(&mut bytes, 20, 16);
    put64(&mut bytes, 24, 1 << 20);
    put32(&mut bytes, 36, 1);
    put64(&mut bytes, 40, 3 << 16);
    put64(&mut bytes, 48, 1 << 16);
    put32(&mut bytes, 56, 1);
    put32(&mut bytes, 96, 4);
    put32(&mut bytes, 100, 104);
    if let Some(format) = format.filter(|_| backing.is_some()) {
        extension(&mut bytes, BACKING_FORMAT, format.as_bytes());
    }
    if let Some(name) = data_file {
        extension(&mut bytes, DATA_FILE, name.as_bytes());
        put64(&mut bytes, 72, 4);
    }
    bytes.extend([0; 8]);
    if let Some(name) = backing {
        let at = u64::try_from(bytes.len()).expect("a header is short");
        put64(&mut bytes, 8, at);
        put32(&mut bytes, 16, u32::try_from(name.len()).unwrap_or(u32::MAX));
        bytes.extend(name.as_bytes());
    }
    Sparse { bytes, length: LENGTH }
}

fn extension(bytes: &mut Vec<u8>, kind: u32, payload: &[u8]) {
    bytes.extend(kind.to_be_bytes());
    bytes.extend(u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend(payload);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
}

fn put32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

fn put64(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_be_bytes());
}
