//! Image headers: how much is read of them, and that what is reported stands in the bytes.

use hostler_image::{Format, Header, ImageError, Inspection, MAX_REFERENCE_BYTES, Progress, READ_BUDGET};

use super::shown;

/// Lengths that the same bytes are inspected at, beside their own; what follows the bytes is zeros.
const LENGTHS: [u64; 3] = [4 << 16, 1 << 30, 1 << 50];
/// Requests for bytes that one header may take.
const STEPS_MAX: usize = 256;

/// A file: these bytes, then zeros up to its length.
#[derive(Debug, Clone, Default)]
pub struct Sparse {
    /// What it begins with.
    pub bytes: Vec<u8>,
    /// Its length in bytes; the bytes beyond it are not in the file.
    pub length: u64,
}

impl Sparse {
    /// The bytes from `offset` that the file has, at most `count`.
    #[must_use]
    pub fn read(&self, offset: u64, count: usize) -> Vec<u8> {
        let left = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let held = usize::try_from(offset).ok().and_then(|at| self.bytes.get(at..)).unwrap_or_default();
        let mut read = held[..held.len().min(count).min(left)].to_vec();
        read.resize(count.min(left), 0);
        read
    }
}

/// Asserts what holds of any bytes, as every format and at several lengths.
///
/// # Panics
/// When a promise is broken.
pub fn check(bytes: &[u8]) {
    let own = u64::try_from(bytes.len()).expect("it is in memory");
    for length in LENGTHS.into_iter().chain([own]).filter(|length| *length >= own) {
        let image = Sparse { bytes: bytes.to_vec(), length };
        match inspect(Format::Qcow2, &image) {
            Ok(header) => says_what_stands_there(&header, &image),
            Err(error) => shown::safe(&error),
        }
        let raw = inspect(Format::Raw, &image).expect("raw is never refused");
        assert!(raw.backing.is_none() && raw.data_file.is_none(), "a raw image names nothing");
    }
    for format in Format::all().filter(|format| !format.is_parsed()) {
        let image = Sparse { bytes: bytes.to_vec(), length: own };
        assert!(inspect(format, &image).is_err(), "{format} is not parsed");
    }
}

/// Runs an inspection and holds it to its budget.
fn inspect(format: Format, image: &Sparse) -> Result<Header, ImageError> {
    let mut inspection = Inspection::new(format, image.length);
    let mut total = 0_u64;
    for _ in 0..STEPS_MAX {
        let range = match inspection.advance()? {
            Progress::Done(header) => return Ok(*header),
            Progress::Need(range) => range,
        };
        assert_ne!(format, Format::Raw, "the content of a raw image is the guest's");
        let length = u64::try_from(range.length).expect("a length fits");
        total += length;
        assert!(total <= READ_BUDGET, "{total} bytes are read");
        assert!(range.length > 0 && range.offset.checked_add(length).is_some_and(|end| end <= image.length));
        inspection.supply(image.read(range.offset, range.length))?;
    }
    panic!("a header that takes more than {STEPS_MAX} requests");
}

/// A second reading of the fixed fields, straight from the specification.
fn says_what_stands_there(header: &Header, image: &Sparse) {
    let number = |offset: u64, count: usize| {
        image.read(offset, count).iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
    };
    assert_eq!(image.read(0, 4), b"QFI\xfb");
    assert_eq!(u64::from(header.features.version), number(4, 4));
    assert!(matches!(header.features.version, 2 | 3));
    assert_eq!(header.virtual_size, number(24, 8));
    let cluster = header.cluster_size.expect("qcow2 has clusters");
    assert_eq!(cluster, 1 << number(20, 4));
    assert!((512..=2 << 20).contains(&cluster));
    assert_eq!(header.encryption.is_some(), number(32, 4) != 0);
    assert_eq!(u64::from(header.features.internal_snapshots), number(60, 4));
    let (offset, length) = (number(8, 8), usize::try_from(number(16, 4)).expect("32 bits"));
    let recorded = (offset != 0 && length != 0).then(|| image.read(offset, length));
    assert_eq!(header.backing.as_ref().map(|backing| backing.name.as_bytes().to_vec()), recorded);
    let names = header.backing.iter().map(|backing| &backing.name);
    for name in names.chain(header.data_file.iter().map(|file| &file.name)) {
        assert!((1..=MAX_REFERENCE_BYTES).contains(&name.len()) && !name.contains('\0'));
    }
}

#[cfg(test)]
mod tests {
    use hostler_image::Format;

    use super::{check, inspect};
    use crate::generators::qcow2::image;

    #[test]
    fn generated_images_are_sound() {
        let whole = image(Some("base"), Some("raw"), None);
        check(&whole.bytes);
        assert_eq!(inspect(Format::Qcow2, &whole).unwrap().backing.unwrap().name, "base");
        let data = image(None, None, Some("data"));
        assert_eq!(inspect(Format::Qcow2, &data).unwrap().data_file.unwrap().name, "data");
    }
}
