//! Images of any format: bounded reading, refusals that can be shown, and verdicts that hold together.

use hostler_image::{
    Assessed, Declared, Format, Header, ImageError, Inspection, MAX_IMPORT_SIZE, Progress, READ_BUDGET,
    Recognition, Verdict, assess,
};

use super::shown;
use crate::generators::pieces::Pieces;

/// Requests for bytes that one image may take.
const STEPS_MAX: usize = 512;
/// Bytes that it takes to see what an image looks like.
const RECOGNISE_MAX: u64 = 5 << 10;
/// Formats that are accepted from elsewhere, beside raw.
const ACCEPTED: [Format; 6] =
    [Format::Qcow2, Format::Vmdk, Format::Vpc, Format::Vhdx, Format::Vdi, Format::Iso];
/// What no raw disk from elsewhere begins with.
const MARKS: [&[u8]; 9] = [
    b"QFI\xfb",
    b"QED\0",
    b"KDMV",
    b"COWD",
    b"conectix",
    b"vhdxfile",
    b"LUKS\xba\xbe",
    b"OOOM",
    b"# Disk DescriptorFile",
];

/// Asserts what holds of any image that is said to be of `format`.
///
/// # Panics
/// When a promise is broken.
pub fn check(format: Format, image: &Pieces) {
    let facts = inspected(Inspection::new(format, image.length).facts_only(), image);
    let used = inspected(Inspection::new(format, image.length), image);
    let screened = inspected(Inspection::new(format, image.length).screened(), image);
    for refusal in [&facts, &used, &screened].into_iter().filter_map(|result| result.as_ref().err()) {
        shown::safe(refusal);
    }
    if let Ok(header) = &facts {
        plain_names(header);
    }
    if let Ok(header) = &used {
        assert_eq!(facts.as_ref().ok(), Some(header), "use and facts differ");
        assert!(header.extents.is_empty() && header.subformat != Some("differencing"));
        second_reading(format, header, image);
    }
    if let Ok(header) = &screened {
        assert_eq!(used.as_ref().ok(), Some(header), "screening changes facts");
    }
    let found = assessed(Some(Declared::Image(format)), image);
    if let Verdict::Safe = found.verdict {
        safe(&found);
        assert!(format == Format::Raw || ACCEPTED.contains(&format), "{format} is accepted");
        if !matches!(format, Format::Iso) {
            assert_eq!(screened.ok().map(|header| header.virtual_size), found.virtual_size);
        }
    }
    undeclared(image);
}

/// Asserts what holds of any image whatever is said of it.
fn undeclared(image: &Pieces) {
    let raw = assessed(Some(Declared::Image(Format::Raw)), image);
    let none = assessed(None, image);
    let is_safe = |found: &Assessed| matches!(found.verdict, Verdict::Safe);
    assert_eq!(is_safe(&raw), is_safe(&none), "raw and nothing differ");
    if is_safe(&none) {
        safe(&none);
        assert_eq!(none.format, "raw");
        let start = image.read(0, 32);
        assert!(!MARKS.iter().any(|mark| start.starts_with(mark)), "{start:?} is taken for data");
    }
    let mut recognition = Recognition::new(image.length);
    let mut total = 0;
    while let Progress::Need(range) = recognition.advance().expect("it cannot fail") {
        total += u64::try_from(range.length).expect("a length fits");
        assert!(total <= RECOGNISE_MAX, "{total} bytes are read");
        recognition.supply(image.read(range.offset, range.length)).expect("it was asked for");
    }
}

fn safe(found: &Assessed) {
    assert!(found.references.is_empty(), "{found:?}");
    let size = found.virtual_size.expect("it is known");
    assert!((1..=MAX_IMPORT_SIZE).contains(&size), "{size} bytes are safe");
}

/// Runs an inspection and holds it to its budget.
fn inspected(mut inspection: Inspection, image: &Pieces) -> Result<Header, ImageError> {
    let mut budget = Budget::default();
    loop {
        match inspection.advance()? {
            Progress::Done(header) => return Ok(*header),
            Progress::Need(range) => inspection.supply(budget.read(image, range.offset, range.length))?,
        }
    }
}

fn assessed(declared: Option<Declared>, image: &Pieces) -> Assessed {
    let mut assessment = assess(declared, image.length);
    let mut budget = Budget::default();
    loop {
        match assessment.advance() {
            Progress::Done(found) => {
                if let Verdict::MustRefuse(error) | Verdict::Unsupported(error) = &found.verdict {
                    shown::safe(error);
                }
                return *found;
            }
            Progress::Need(range) => {
                let bytes = budget.read(image, range.offset, range.length);
                assessment.supply(bytes).expect("it was asked for");
            }
        }
    }
}

/// What one image has taken so far.
#[derive(Default)]
struct Budget {
    bytes: u64,
    steps: usize,
}

impl Budget {
    fn read(&mut self, image: &Pieces, offset: u64, length: usize) -> Vec<u8> {
        self.bytes += u64::try_from(length).expect("a length fits");
        self.steps += 1;
        assert!(
            self.bytes <= READ_BUDGET && self.steps <= STEPS_MAX,
            "{} bytes in {}",
            self.bytes,
            self.steps
        );
        let read = image.read(offset, length);
        assert!(length > 0 && read.len() == length, "{length} bytes at {offset} of {}", image.length);
        read
    }
}

fn plain_names(header: &Header) {
    let names = header.backing.iter().map(|backing| &backing.name);
    for name in names.chain(header.extents.iter().map(|extent| &extent.name)) {
        assert!(!name.is_empty() && !name.contains('\0'), "{name:?}");
    }
}

/// The size once more, straight from the specification, where one field says it.
fn second_reading(format: Format, header: &Header, image: &Pieces) {
    let number = |offset: u64| u64::from_le_bytes(image.read(offset, 8).try_into().expect("it is there"));
    let size = match format {
        Format::Vmdk if image.read(0, 4) == b"KDMV" => number(12) * 512,
        Format::Vdi => number(368).next_multiple_of(512),
        Format::Parallels if image.read(0, 8) == b"WithouFr" => number(36) * 512,
        Format::Dmg => number(image.length - 20).swap_bytes() * 512,
        _ => return,
    };
    assert_eq!(header.virtual_size, size);
}

#[cfg(test)]
mod tests {
    use hostler_image::{Declared, Format, Verdict};

    use super::{assessed, check};
    use crate::generators::{foreign, vmdk};

    #[test]
    fn generated_images_are_sound() {
        let text =
            "# Disk DescriptorFile\nversion=1\ncreateType=\"monolithicSparse\"\nRW 2048 SPARSE \"d\"\n";
        for (format, image, safe) in [
            (Format::Vmdk, vmdk::sparse(text, 2048), true),
            (Format::Vpc, foreign::vhd(0), true),
            (Format::Vpc, foreign::vhd(1), false),
            (Format::Vpc, foreign::vhd(2), true),
            (Format::Vhdx, foreign::vhdx(0), true),
            (Format::Vhdx, foreign::vhdx(1), false),
            (Format::Vdi, foreign::vdi(0), true),
            (Format::Vdi, foreign::vdi(3), false),
            (Format::Parallels, foreign::seldom(0), false),
            (Format::Bochs, foreign::seldom(1), false),
            (Format::Cloop, foreign::seldom(2), false),
            (Format::Dmg, foreign::seldom(3), false),
        ] {
            let image = image.with_sums();
            check(format, &image);
            let found = assessed(Some(Declared::Image(format)), &image);
            assert_eq!(matches!(found.verdict, Verdict::Safe), safe, "{format}: {found:?}");
            assert!(found.virtual_size.is_some(), "{format}: {found:?}");
        }
    }
}
