//! Judging an image from elsewhere before anything opens it: is it what it is declared to be, and nothing else?
//!
//! Stricter than a start, which trusts what the host has recorded: every mark of every format is looked for,
//! the tables behind the header are screened, and no other file is granted, so an image that names one is
//! refused. The reading is left to the caller, as with [`crate::Inspection`].

use crate::content::{self, Content, Mark, Place};
use crate::error::{ErrorKind, ImageError};
use crate::format::Format;
use crate::formats::{self, Header, RecordedFormat};
use crate::inspection::Progress;
use crate::reference::redact;
use crate::windows::{Halt, Ran, Reading, Windows};

/// Largest virtual size of an image from elsewhere: 16 TiB. A larger one is a mistake, or meant to use up a quota.
pub const MAX_IMPORT_SIZE: u64 = 16 << 40;

/// What whoever hands over an image says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Declared {
    /// A disk image of this format.
    Image(Format),
    /// A LUKS container, around a raw disk.
    Luks,
}

impl Declared {
    /// Reads the word for it, as programs that exchange images have it: `raw`, `luks`, `iso`, QEMU's names of
    /// the formats, and `vhd` for what QEMU calls `vpc`. Domain XML has other words: its `vhd` is `vhdx` here.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "luks" => Some(Self::Luks),
            "vhd" => Some(Self::Image(Format::Vpc)),
            "iso" => Some(Self::Image(Format::Iso)),
            "cow" => Some(Self::Image(Format::Cow)),
            _ => Format::from_qemu_name(word).map(Self::Image),
        }
    }

    fn is(self, content: Content) -> bool {
        match self {
            Self::Image(format) => content == Content::Image(format),
            Self::Luks => matches!(content, Content::Luks(_)),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Image(format) => Content::Image(format).word(),
            Self::Luks => "luks",
        }
    }
}

/// What an image from elsewhere may be used for.
#[derive(Debug)]
pub enum Verdict {
    /// It may be given to a hypervisor as what it was declared to be; undeclared, as raw.
    Safe,
    /// It is broken, contradicts itself or its declaration, or wants what it must not have.
    MustRefuse(ImageError),
    /// Nothing is wrong with it, but it is of a kind that is not supported.
    Unsupported(ImageError),
}

/// What another file is to the image that names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedKind {
    /// The image below.
    Backing,
    /// Where its data lies.
    DataFile,
    /// A piece of its disk.
    Extent,
    /// The image below, in formats that call it parent.
    Parent,
}

impl NamedKind {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Backing => "backing",
            Self::DataFile => "data-file",
            Self::Extent => "extent",
            Self::Parent => "parent",
        }
    }
}

/// Another file that an image names. Nothing has been done about it.
#[derive(Clone, PartialEq, Eq)]
pub struct NamedFile {
    /// What it is to the image.
    pub kind: NamedKind,
    /// The name as it stands in the image: untrusted, see [`redact`] before it is shown.
    pub target: String,
    /// The format recorded for it, or the kind of the extent; untrusted as well.
    pub format: Option<String>,
}

impl std::fmt::Debug for NamedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { kind, target, format } = self;
        f.debug_struct("NamedFile")
            .field("kind", kind)
            .field("target", &redact(target))
            .field("format", format)
            .finish()
    }
}

/// The outcome: the verdict, and what the image says as far as it could be understood.
#[derive(Debug)]
pub struct Assessed {
    /// What it may be used for.
    pub verdict: Verdict,
    /// What it is, in the words of [`Declared::from_word`] where there is one: what was declared; of an
    /// undeclared image, what it looks like, and `raw` where it looks like nothing else.
    pub format: &'static str,
    /// Size of the disk that a guest would see, in bytes.
    pub virtual_size: Option<u64>,
    /// The other files that it names.
    pub references: Vec<NamedFile>,
}

/// An assessment under way. It asks for at most [`crate::READ_BUDGET`] bytes.
#[derive(Debug)]
pub struct Assessment {
    declared: Option<Declared>,
    reading: Reading,
}

/// Starts to assess an image of `length` bytes; `declared` is `None` when nothing is said of it.
#[must_use]
pub fn assess(declared: Option<Declared>, length: u64) -> Assessment {
    Assessment { declared, reading: Reading::new(length) }
}

impl Assessment {
    /// Goes on as far as the bytes at hand allow. What cannot be understood is a verdict, not an error.
    pub fn advance(&mut self) -> Progress<Assessed> {
        let declared = self.declared;
        match self.reading.run(|image| judge(declared, image)) {
            Ok(Ran::Need(range)) => Progress::Need(range),
            Ok(Ran::Done(assessed)) => Progress::Done(Box::new(assessed)),
            Err(error) => {
                Progress::Done(Box::new(Assessed::of(declared.map_or("raw", Declared::word), error)))
            }
        }
    }

    /// Takes the bytes that were asked for.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] when they are fewer than asked: the file shrank since its length was taken.
    /// [`ErrorKind::InvalidRequest`] when nothing was asked for.
    pub fn supply(&mut self, bytes: Vec<u8>) -> Result<(), ImageError> {
        self.reading.supply(bytes)
    }
}

impl Assessed {
    /// An image that is refused before its header is understood.
    fn of(format: &'static str, error: ImageError) -> Self {
        Self { verdict: Verdict::from(error), format, virtual_size: None, references: Vec::new() }
    }

    fn described(word: &'static str, format: Format, header: &Header, refusal: Option<ImageError>) -> Self {
        Self {
            verdict: refusal.map_or(Verdict::Safe, Verdict::from),
            format: word,
            virtual_size: Some(header.virtual_size),
            references: named_files(format, header),
        }
    }
}

impl From<ImageError> for Verdict {
    fn from(error: ImageError) -> Self {
        match error.kind() {
            ErrorKind::Unsupported | ErrorKind::FormatUnsupported => Self::Unsupported(error),
            _ => Self::MustRefuse(error),
        }
    }
}

fn judge(declared: Option<Declared>, image: &Windows) -> Result<Assessed, Halt> {
    let marks = content::marks(image)?;
    let Some(declared) = declared else { return undeclared(&marks, image) };
    check_agreement(declared, &marks)?;
    if let Declared::Image(format) = declared
        && !is_accepted(format)
    {
        return refused_format(Content::Image(format), image);
    }
    let (format, header) = match declared {
        Declared::Luks => (Format::Raw, formats::parse_luks(image)?),
        Declared::Image(format) => (format.opened_as(), formats::parse(format, image)?),
    };
    let refusal = match scrutinise(format, &header, image) {
        Ok(()) => None,
        Err(Halt::Fault(error)) => Some(error),
        Err(need) => return Err(need),
    };
    Ok(Assessed::described(declared.word(), format, &header, refusal))
}

/// The rules beyond those of a sound header.
fn scrutinise(format: Format, header: &Header, image: &Windows) -> Result<(), Halt> {
    formats::usable(format, header)?;
    check_size(header.virtual_size)?;
    formats::screen(format, image).map_err(explained)?;
    if header.features.corrupt {
        let message = "it is marked as corrupt by the program that last wrote it";
        return Err(ImageError::new(ErrorKind::Corrupt, message)
            .hint("let whoever hands it over repair it with 'qemu-img check -r all'")
            .into());
    }
    named_files(format, header).first().map_or(Ok(()), |named| Err(not_granted(named).into()))
}

/// With the remedy for tables that are more than may be read.
fn explained(halt: Halt) -> Halt {
    match halt {
        Halt::Fault(error) if error.kind() == ErrorKind::TooComplex => Halt::Fault(error.hint(
            "let whoever hands it over copy the disk to a new image with 'qemu-img convert -O qcow2', \
             which has no snapshots and tables of the size that the disk needs",
        )),
        other => other,
    }
}

fn check_size(size: u64) -> Result<(), ImageError> {
    if size == 0 {
        return Err(ImageError::new(ErrorKind::Malformed, "it holds a disk of 0 bytes"));
    }
    if size > MAX_IMPORT_SIZE {
        let message = format!("its virtual size is {size} bytes, the limit is {MAX_IMPORT_SIZE}");
        return Err(ImageError::new(ErrorKind::TooLarge, message));
    }
    Ok(())
}

fn not_granted(named: &NamedFile) -> ImageError {
    let message =
        format!("it names another file ({}), and an image from elsewhere may name none", named.kind.word());
    ImageError::new(ErrorKind::ReferenceDenied, message)
        .about(redact(&named.target))
        .hint("let whoever hands it over convert it to one file that stands alone, with 'qemu-img convert'")
}

fn named_files(format: Format, header: &Header) -> Vec<NamedFile> {
    let parents = matches!(format, Format::Vmdk | Format::Vpc | Format::Vhdx | Format::Vdi);
    let backing = header.backing.iter().map(|backing| NamedFile {
        kind: if parents { NamedKind::Parent } else { NamedKind::Backing },
        target: backing.name.clone(),
        format: match &backing.format {
            RecordedFormat::Absent => None,
            RecordedFormat::Known(format) => Some(Content::Image(*format).word().to_owned()),
            RecordedFormat::Unknown(name) => Some(name.clone()),
        },
    });
    let data = header.data_file.iter().map(|file| NamedFile {
        kind: NamedKind::DataFile,
        target: file.name.clone(),
        format: None,
    });
    let extents = header.extents.iter().map(|extent| NamedFile {
        kind: NamedKind::Extent,
        target: extent.name.clone(),
        format: Some(extent.kind.to_owned()),
    });
    backing.chain(data).chain(extents).collect()
}

/// Formats that an image from elsewhere may have.
fn is_accepted(format: Format) -> bool {
    matches!(
        format,
        Format::Raw | Format::Iso | Format::Qcow2 | Format::Vmdk | Format::Vpc | Format::Vhdx | Format::Vdi
    )
}

/// Refuses content that is something else than declared, or something else as well.
fn check_agreement(declared: Declared, marks: &[Mark]) -> Result<(), ImageError> {
    let own = marks.iter().any(|mark| declared.is(mark.content));
    let Some(other) =
        marks.iter().find(|mark| !declared.is(mark.content) && !goes_with(declared, marks, **mark))
    else {
        return Ok(());
    };
    let (declared, found) = (declared.word(), other.content.word());
    let message = if own {
        format!("it is {declared} as declared, but {found} as well, so programs disagree on what it is")
    } else {
        format!("it is declared to be {declared}, but looks like {found}")
    };
    Err(ImageError::new(ErrorKind::Malformed, message).hint(
        "if it is meant to be that, declare it so; if not, let whoever hands it over copy the disk to a new image",
    ))
}

/// What a disk may hold without being something else for it: partitions, the content of a disc and, because
/// anybody can write there, the trailer of a fixed VHD.
fn goes_with(declared: Declared, marks: &[Mark], other: Mark) -> bool {
    let fixed = || !marks.contains(&Mark { content: Content::Image(Format::Vpc), place: Place::Start });
    match declared {
        Declared::Image(Format::Raw) => is_data(other),
        Declared::Image(Format::Iso) => other.content == Content::Partitions,
        // Behind its data, which is a raw disk, it has nothing but the trailer.
        Declared::Image(Format::Vpc) => fixed() && is_data(other),
        _ => false,
    }
}

/// Whether a raw disk may carry this mark in good faith.
fn is_data(mark: Mark) -> bool {
    let Mark { content, place } = mark;
    matches!(content, Content::Partitions | Content::Image(Format::Iso))
        || (content, place) == (Content::Image(Format::Vpc), Place::Trailer)
}

/// An image of which nothing is said is raw, unless it looks like something: then it must be said.
fn undeclared(marks: &[Mark], image: &Windows) -> Result<Assessed, Halt> {
    let Some(first) = marks.iter().find(|mark| !is_data(**mark)) else {
        let header = formats::parse(Format::Raw, image)?;
        let refusal = check_size(header.virtual_size).err();
        return Ok(Assessed::described("raw", Format::Raw, &header, refusal));
    };
    if let Some(other) = marks.iter().find(|mark| mark.content != first.content) {
        let message = format!(
            "nothing is declared, and it looks like {} and {} at once",
            first.content.word(),
            other.content.word()
        );
        let error = ImageError::new(ErrorKind::Malformed, message);
        return Ok(Assessed::of(
            first.content.word(),
            error.hint("let whoever hands it over copy the disk to a new image"),
        ));
    }
    let word = first.content.word();
    let accepted = match first.content {
        Content::Image(format) => is_accepted(format),
        Content::Luks(version) => version == 1,
        Content::Wrapped(_) | Content::Partitions => false,
    };
    if !accepted {
        return refused_format(first.content, image);
    }
    let message = format!("nothing is declared, and it looks like {word}; formats are never guessed");
    let error = ImageError::new(ErrorKind::FormatMissing, message);
    Ok(Assessed::of(word, error.hint(format!("if it is meant to be {word}, declare it so"))))
}

/// A kind that is not accepted from elsewhere; what its header says is reported where it can be read.
fn refused_format(content: Content, image: &Windows) -> Result<Assessed, Halt> {
    let word = content.word();
    let message = format!("{word} images are not accepted from elsewhere");
    let error = ImageError::new(ErrorKind::FormatUnsupported, message).hint(
        "let whoever hands it over convert it to qcow2 or raw, with 'qemu-img convert' where that reads it",
    );
    let Content::Image(format) = content else { return Ok(Assessed::of(word, error)) };
    match formats::parse(format, image) {
        Ok(header) => Ok(Assessed::described(word, format, &header, Some(error))),
        Err(Halt::Fault(broken)) => Ok(Assessed::of(word, error.caused_by(broken))),
        Err(need) => Err(need),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{self, Bytes, Sample};

    fn assessed(word: &str, bytes: &[u8]) -> Assessed {
        let declared = Declared::from_word(word);
        assert_eq!(declared.is_none(), word == "none");
        let mut assessment = assess(declared, bytes.len() as u64);
        loop {
            match assessment.advance() {
                Progress::Done(assessed) => return *assessed,
                Progress::Need(range) => {
                    let from = usize::try_from(range.offset).unwrap();
                    assessment.supply(bytes[from..from + range.length].to_vec()).unwrap();
                }
            }
        }
    }

    /// The kind of a refusal; none where the image is safe.
    fn refusal(word: &str, bytes: &[u8]) -> Option<ErrorKind> {
        match assessed(word, bytes).verdict {
            Verdict::Safe => None,
            Verdict::MustRefuse(error) | Verdict::Unsupported(error) => Some(error.kind()),
        }
    }

    #[test]
    fn what_it_is_declared_to_be_is_safe() {
        let image = assessed("qcow2", &Sample::new().bytes);
        assert!(matches!(image.verdict, Verdict::Safe), "{image:?}");
        assert_eq!((image.format, image.virtual_size), ("qcow2", Some(1 << 20)));
        let luks = assessed("luks", &sample::luks1().0);
        assert_eq!((luks.format, luks.virtual_size), ("luks", Some(sample::LUKS_DISK_BYTES as u64)));
        assert_eq!(refusal("raw", &[1; 513]), None);
        assert_eq!(refusal("none", &[1; 513]), None);
        assert_eq!(refusal("raw", &[]), Some(ErrorKind::Malformed), "there is no disk in it");
    }

    #[test]
    fn another_file_is_never_granted() {
        let image = assessed("qcow2", &Sample::new().backing("base", Some("raw")).bytes);
        let Verdict::MustRefuse(error) = image.verdict else { panic!("{image:?}") };
        assert_eq!(error.kind(), ErrorKind::ReferenceDenied);
        let named = NamedFile { kind: NamedKind::Backing, target: "base".into(), format: Some("raw".into()) };
        assert_eq!(image.references, [named]);
        let data = assessed("qcow2", &Sample::new().data_file("/etc/passwd").bytes);
        assert_eq!(data.references[0].kind.word(), "data-file");
    }

    #[test]
    fn a_structure_in_a_raw_disk_is_refused() {
        assert_eq!(refusal("raw", &Sample::new().bytes), Some(ErrorKind::Malformed));
        assert_eq!(refusal("raw", &sample::luks1().0), Some(ErrorKind::Malformed));
        let partitions = Bytes::zeros(4096).put(450, b"\x83").put(510, b"\x55\xaa");
        let trailer = partitions.put(4096 - 512, b"conectix");
        assert_eq!(refusal("raw", &trailer.0), None, "a guest may have written that");
    }

    #[test]
    fn two_things_at_once_are_refused() {
        let volume = |mut bytes: Vec<u8>| {
            bytes.resize(40 << 10, 0);
            Bytes(bytes).put(32_769, b"CD001").0
        };
        assert_eq!(refusal("iso", &volume(vec![])), None);
        assert_eq!(refusal("iso", &Bytes::zeros(40 << 10).0), Some(ErrorKind::Malformed));
        let both = Bytes(Sample::new().bytes).put(32_769, b"CD001").0;
        assert_eq!(refusal("iso", &both), Some(ErrorKind::Malformed));
        assert_eq!(refusal("qcow2", &both), Some(ErrorKind::Malformed));
        assert_eq!(refusal("none", &both), Some(ErrorKind::Malformed));
    }

    #[test]
    fn what_is_not_declared_is_not_guessed() {
        assert_eq!(refusal("none", &Sample::new().bytes), Some(ErrorKind::FormatMissing));
        let old = Bytes::zeros(8192).put(0, b"OOOM\0\0\0\x02").put(8, b"/etc/passwd").be64(1036, 512);
        let cow = assessed("none", &old.0);
        assert!(matches!(cow.verdict, Verdict::Unsupported(_)));
        assert_eq!((cow.format, cow.references[0].target.as_str()), ("cow", "/etc/passwd"));
        let stream = assessed("none", &Bytes::zeros(512).put(0, b"\x1f\x8b\x08").0);
        assert!(matches!(stream.verdict, Verdict::Unsupported(_)) && stream.format == "gzip");
    }

    #[test]
    fn sizes_and_marks_that_a_start_leaves_to_others_are_refused() {
        let large = Sample::new().with64(24, MAX_IMPORT_SIZE + 512).with32(20, 21).with32(36, 1 << 20);
        let mut bytes = large.with64(40, 6 << 20).with64(48, 2 << 20).bytes;
        bytes.resize(16 << 20, 0);
        assert_eq!(refusal("qcow2", &bytes), Some(ErrorKind::TooLarge));
        assert_eq!(refusal("qcow2", &Sample::new().with64(72, 2).bytes), Some(ErrorKind::Corrupt));
    }

    #[test]
    fn the_words_are_those_of_programs_that_exchange_images() {
        assert_eq!(Declared::from_word("vhd"), Some(Declared::Image(Format::Vpc)));
        assert_eq!(Declared::from_word("vhdx"), Some(Declared::Image(Format::Vhdx)));
        assert_eq!(Declared::from_word("nvram"), None);
    }

    #[test]
    fn a_file_that_shrinks_is_an_error() {
        let mut assessment = assess(None, 4096);
        assert!(matches!(assessment.advance(), Progress::Need(_)));
        assert_eq!(assessment.supply(vec![]).unwrap_err().kind(), ErrorKind::Truncated);
    }
}
