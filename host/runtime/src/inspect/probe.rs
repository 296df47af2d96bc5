//! Judging one file that somebody hands over, before anything opens it: the file itself, then what is in it.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::fs::{DirEntryExt as _, MetadataExt as _};
use std::path::Path;

use hostler_firmware::{ErrorKind as FirmwareErrorKind, check_store};
use hostler_image::{
    Assessed, ByteRange, Declared, ErrorKind, FileKind, ImageError, NamedFile, OpenFailure, Progress,
    READ_BUDGET, Verdict, assess,
};

use hostler_storage::kind_of_file;

use super::facts::read;
use super::{not_an_image, not_read};
use crate::roots::{Directories, Mark, open_beneath};

/// The word for a file of UEFI variables, beside the words for images.
const VARIABLE_STORE: &str = "nvram";
/// Most entries of a directory that are looked at for other names of a file.
const MAX_ENTRIES: usize = 10_000;
/// `ENXIO`: what opening a socket by its name answers.
const NO_SUCH_DEVICE: i32 = 6;

/// What a file that somebody hands over may be used for.
#[derive(Debug)]
pub struct Probe {
    /// The verdict.
    pub verdict: ProbeVerdict,
    /// What it is: what was declared, or what it looks like.
    pub format: &'static str,
    /// Size of the disk that a guest would see, in bytes; of a variable store, of its file.
    pub virtual_size: Option<u64>,
    /// The other files that it names. Nothing has been done about them.
    pub references: Vec<NamedFile>,
    /// Why it is not safe.
    pub refusal: Option<ImageError>,
}

/// The verdict on a file that somebody hands over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeVerdict {
    /// It may be given to a hypervisor as what it was declared to be.
    Safe,
    /// It is broken, contradicts its declaration, or wants what it must not have.
    MustRefuse,
    /// Nothing is wrong with it, but it is of a kind that is not supported.
    Unsupported,
}

impl ProbeVerdict {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::MustRefuse => "must-refuse",
            Self::Unsupported => "unsupported",
        }
    }
}

/// Judges `file`, which lies beneath the directory `root`, as an image from elsewhere that is declared to be
/// `declared`. Nothing but the file is opened, no link is followed, and at most 2 MiB are read.
///
/// # Errors
/// When the request is wrong: an unknown word, a file that is not there or not beneath `root`.
pub fn probe_image(root: &Path, file: &Path, declared: Option<&str>) -> Result<Probe, ImageError> {
    let declared = declared.map(declaration).transpose()?;
    let relative = file.strip_prefix(root).ok().filter(|relative| !relative.as_os_str().is_empty());
    let relative = relative.ok_or_else(|| outside(root, file))?;
    match open(root, relative, file)? {
        Err(refusal) => Ok(Probe::refused(declared.map_or("raw", Declaration::word), refusal)),
        Ok(image) => judge(&image, declared).map_err(|error| error.in_layer(0, file)),
    }
}

/// What whoever hands over a file says that it is.
#[derive(Clone, Copy)]
enum Declaration {
    Image(Declared, &'static str),
    VariableStore,
}

impl Declaration {
    fn word(self) -> &'static str {
        match self {
            Self::Image(_, word) => word,
            Self::VariableStore => VARIABLE_STORE,
        }
    }
}

/// The words for what a file can be declared to be.
const WORDS: [&str; 14] = [
    "raw",
    "qcow2",
    "qcow",
    "qed",
    "vmdk",
    "vpc",
    "vhd",
    "vhdx",
    "vdi",
    "parallels",
    "luks",
    "iso",
    "bochs",
    "dmg",
];

fn declaration(word: &str) -> Result<Declaration, ImageError> {
    if word == VARIABLE_STORE {
        return Ok(Declaration::VariableStore);
    }
    let known = WORDS.iter().find(|known| **known == word);
    let image = known.and_then(|known| Some(Declaration::Image(Declared::from_word(known)?, known)));
    image.ok_or_else(|| {
        ImageError::new(ErrorKind::FormatUnknown, format!("'{word}' is not a word for what an image can be"))
            .hint(format!("use one of: {}, {VARIABLE_STORE}", WORDS.join(", ")))
    })
}

fn outside(root: &Path, file: &Path) -> ImageError {
    let message = format!("'{}' does not lie in '{}'", file.display(), root.display());
    ImageError::new(ErrorKind::InvalidRequest, message)
        .hint("give the directory that holds the image with --root")
}

/// An open file that is a regular one and belongs to nobody else.
struct Image {
    file: File,
    length: u64,
}

/// Opens the file; the inner error is a refusal of the file itself.
fn open(root: &Path, relative: &Path, full: &Path) -> Result<Result<Image, ImageError>, ImageError> {
    let opened = open_beneath(&mut Directories::default(), root, relative, Mark::ReadOnly);
    let file = match opened {
        Ok(descriptor) => File::from(descriptor),
        Err(error) if error.raw_os_error() == Some(NO_SUCH_DEVICE) => {
            return Ok(Err(not_an_image(full, FileKind::Other)));
        }
        Err(error) => return refusal_or_error(full, error),
    };
    let facts = file.metadata().map_err(|error| not_read(full, error))?;
    let kind = kind_of_file(&facts.file_type());
    if kind != FileKind::Regular {
        return Ok(Err(not_an_image(full, kind)));
    }
    if facts.nlink() > 1 && !is_first_of_its_own(root, relative, facts.ino(), facts.nlink())? {
        return Ok(Err(linked(full)));
    }
    Ok(Ok(Image { file, length: facts.len() }))
}

fn refusal_or_error(full: &Path, error: io::Error) -> Result<Result<Image, ImageError>, ImageError> {
    let failure = OpenFailure::from(error);
    let escapes = matches!(failure, OpenFailure::Escapes);
    let error = super::not_opened(full, failure);
    if escapes { Ok(Err(error)) } else { Err(error) }
}

/// Whether all the names of a file lie beside this one, which is the first of them in the order of their bytes. A
/// name elsewhere may be somebody else's; and a file that is one disk may have one name only, or two guests get it.
fn is_first_of_its_own(root: &Path, relative: &Path, inode: u64, links: u64) -> Result<bool, ImageError> {
    let directory = root.join(relative.parent().unwrap_or(Path::new("")));
    let names = names_of(&directory, inode).map_err(|error| not_read(&directory, error))?;
    let all = u64::try_from(names.len()).is_ok_and(|found| found == links);
    Ok(all && names.iter().min().map(OsString::as_os_str) == relative.file_name())
}

fn names_of(directory: &Path, inode: u64) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for (number, entry) in std::fs::read_dir(directory)?.enumerate() {
        let entry = entry?;
        // Whoever fills a directory must not make this slow: what is not found has a name elsewhere.
        if number >= MAX_ENTRIES {
            break;
        }
        if entry.ino() == inode {
            names.push(entry.file_name());
        }
    }
    Ok(names)
}

fn linked(path: &Path) -> ImageError {
    let message = "the file has another name, which may belong to somebody else or stand for another disk";
    ImageError::new(ErrorKind::NotAnImage, message).in_layer(0, path).hint("copy it instead of linking it")
}

fn judge(image: &Image, declared: Option<Declaration>) -> Result<Probe, ImageError> {
    match declared {
        Some(Declaration::VariableStore) => variable_store(image),
        Some(Declaration::Image(declared, _)) => disk_image(image, Some(declared)),
        None => disk_image(image, None),
    }
}

fn disk_image(image: &Image, declared: Option<Declared>) -> Result<Probe, ImageError> {
    let mut assessment = assess(declared, image.length);
    loop {
        match assessment.advance() {
            Progress::Done(assessed) => return Ok(Probe::from(*assessed)),
            Progress::Need(range) => assessment.supply(read(&image.file, range)?)?,
        }
    }
}

fn variable_store(image: &Image) -> Result<Probe, ImageError> {
    let length = usize::try_from(image.length.min(READ_BUDGET)).unwrap_or(0);
    let bytes = read(&image.file, ByteRange { offset: 0, length })?;
    let (kind, reason) = match check_store(&bytes) {
        _ if image.length > READ_BUDGET => {
            let message = format!("a variable store of more than {READ_BUDGET} bytes is not looked into");
            (ErrorKind::Unsupported, message)
        }
        Ok(_) => return Ok(Probe::safe(VARIABLE_STORE, image.length)),
        Err(error) if error.kind() == FirmwareErrorKind::StoreUnsupported => {
            (ErrorKind::Unsupported, error.to_string())
        }
        Err(error) => (ErrorKind::Malformed, error.to_string()),
    };
    Ok(Probe::refused(VARIABLE_STORE, ImageError::new(kind, reason)))
}

impl Probe {
    fn safe(format: &'static str, virtual_size: u64) -> Self {
        let (verdict, references) = (ProbeVerdict::Safe, Vec::new());
        Self { verdict, format, virtual_size: Some(virtual_size), references, refusal: None }
    }

    fn refused(format: &'static str, refusal: ImageError) -> Self {
        let verdict = match refusal.kind() {
            ErrorKind::Unsupported | ErrorKind::FormatUnsupported => ProbeVerdict::Unsupported,
            _ => ProbeVerdict::MustRefuse,
        };
        Self { verdict, format, virtual_size: None, references: Vec::new(), refusal: Some(refusal) }
    }
}

impl From<Assessed> for Probe {
    fn from(assessed: Assessed) -> Self {
        let Assessed { verdict, format, virtual_size, references } = assessed;
        let (verdict, refusal) = match verdict {
            Verdict::Safe => (ProbeVerdict::Safe, None),
            Verdict::MustRefuse(error) => (ProbeVerdict::MustRefuse, Some(error)),
            Verdict::Unsupported(error) => (ProbeVerdict::Unsupported, Some(error)),
        };
        Self { verdict, format, virtual_size, references, refusal }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{create_dir, hard_link, write};
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    fn verdict(root: &Path, name: &str, declared: Option<&str>) -> (ProbeVerdict, Option<&'static str>) {
        let probe = probe_image(root, &root.join(name), declared).unwrap();
        (probe.verdict, probe.refusal.map(|error| error.code()))
    }

    #[test]
    fn only_a_plain_file_with_one_name_is_looked_into() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        write(at("disk"), [0; 4096]).unwrap();
        symlink("disk", at("link")).unwrap();
        symlink("/etc/passwd", at("way-out")).unwrap();
        create_dir(at("folder")).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, at("fifo"), rustix::fs::Mode::RUSR).unwrap();
        assert_eq!(verdict(root.path(), "disk", Some("raw")), (ProbeVerdict::Safe, None));
        for name in ["link", "way-out", "folder/../link"] {
            let found = verdict(root.path(), name, Some("raw"));
            assert_eq!(found, (ProbeVerdict::MustRefuse, Some("image.reference-denied")), "{name}");
        }
        for name in ["folder", "socket", "fifo"] {
            let found = verdict(root.path(), name, Some("raw"));
            assert_eq!(found, (ProbeVerdict::MustRefuse, Some("image.not-an-image")), "{name}");
        }
    }

    #[test]
    fn of_several_names_beside_one_another_the_first_counts() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        write(at("b"), [0; 4096]).unwrap();
        hard_link(at("b"), at("c")).unwrap();
        let safe = |name| verdict(root.path(), name, Some("raw")).0 == ProbeVerdict::Safe;
        assert!(safe("b") && !safe("c"));
        create_dir(at("elsewhere")).unwrap();
        hard_link(at("b"), at("elsewhere/b")).unwrap();
        assert!(!safe("b") && !safe("elsewhere/b"), "a name elsewhere may be anybody's");
    }

    #[test]
    fn variable_stores_are_told_from_rubbish() {
        let root = tempfile::tempdir().unwrap();
        write(root.path().join("erased"), [0xff; 4096]).unwrap();
        let (judged, code) = verdict(root.path(), "erased", Some("nvram"));
        assert_eq!((judged, code), (ProbeVerdict::MustRefuse, Some("image.malformed")));
        File::create(root.path().join("huge")).unwrap().set_len(READ_BUDGET + 1).unwrap();
        assert_eq!(verdict(root.path(), "huge", Some("nvram")).0, ProbeVerdict::Unsupported);
    }

    #[test]
    fn wrong_requests_are_errors_and_no_verdicts() {
        let root = tempfile::tempdir().unwrap();
        let code = |file: &Path, declared| probe_image(root.path(), file, declared).unwrap_err().code();
        assert_eq!(code(&root.path().join("none"), Some("raw")), "image.missing");
        assert_eq!(code(Path::new("/etc/passwd"), Some("raw")), "image.invalid-request");
        assert_eq!(code(root.path(), Some("raw")), "image.invalid-request");
        assert_eq!(code(&root.path().join("none"), Some("floppy")), "image.format-unknown");
    }

    #[test]
    fn every_word_has_a_meaning() {
        for word in WORDS {
            assert!(declaration(word).is_ok_and(|declared| declared.word() == word), "{word}");
        }
    }
}
