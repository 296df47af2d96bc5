//! The parser of each format, and what they share.
//!
//! A parser gets the image as [`Windows`] and answers with a [`Header`] of facts, or halts: because it needs
//! bytes, or because the header is malformed, truncated or beyond what is supported. Whether an image with
//! these facts may be *used* is decided afterwards, in one place ([`usable`]), so that a listing can show what
//! a start refuses.

mod areas;
mod bochs;
mod cloop;
mod cow;
mod dmg;
mod header;
mod iso;
mod luks;
mod parallels;
mod qcow;
mod qcow2;
mod qed;
mod raw;
mod vdi;
mod vhdx;
mod vmdk;
mod vpc;

use crate::error::{ErrorKind, ImageError};
use crate::format::Format;
use crate::windows::{Halt, Windows, malformed};

pub use header::{
    BackingRecord, Compression, DataFileRecord, Encryption, ExtentRecord, FeatureBits, Features, Header,
    Luks, MAX_REFERENCE_BYTES, RecordedFormat,
};
pub use qcow2::{EmptyQcow2, NewImage};

/// Subformat of images that hold only what differs from a parent, in formats where QEMU ignores the parent.
const DIFFERENCING: &str = "differencing";

/// Parses the header of an image that is declared to be of `format`.
pub(crate) fn parse(format: Format, image: &Windows) -> Result<Header, Halt> {
    match format {
        Format::Raw => Ok(raw::parse(image)),
        Format::Bochs => bochs::parse(image),
        Format::Cloop => cloop::parse(image),
        Format::Cow => cow::parse(image),
        Format::Dmg => dmg::parse(image),
        Format::Parallels => parallels::parse(image),
        Format::Qcow => qcow::parse(image),
        Format::Qcow2 => qcow2::parse(image),
        Format::Qed => qed::parse(image),
        Format::Vmdk => vmdk::parse(image),
        Format::Vpc => vpc::parse(image),
        Format::Vhdx => vhdx::parse(image),
        Format::Vdi => vdi::parse(image),
        Format::Iso => iso::parse(image),
        // Made out of a directory while it is shown to a guest, so there is nothing to read.
        Format::Dir | Format::Fat => Err(unsupported(format).into()),
    }
}

/// Looks behind the header of an image that was found sound, for formats whose tables can be crafted.
pub(crate) fn screen(format: Format, image: &Windows) -> Result<(), Halt> {
    match format {
        Format::Qcow2 => qcow2::screen(image),
        Format::Vmdk => vmdk::screen(image),
        Format::Vpc => vpc::screen(image),
        Format::Vhdx => vhdx::screen(image),
        Format::Vdi => vdi::screen(image),
        _ => Ok(()),
    }
}

/// Parses a raw image whose content is declared to be a LUKS container.
pub(crate) fn parse_luks(image: &Windows) -> Result<Header, Halt> {
    luks::parse(image)
}

/// The rules for using an image, whatever shows it: its format and its header are sound, but can a
/// hypervisor be given it?
///
/// # Errors
/// Why not, with the remedy.
pub fn usable(format: Format, header: &Header) -> Result<(), ImageError> {
    if !format.is_parsed() {
        return Err(unsupported(format));
    }
    if header.encryption == Some(Encryption::Aes) {
        let message = "it is encrypted with the legacy AES of qcow, which is broken and not supported";
        return Err(ImageError::new(ErrorKind::Unsupported, message)
            .hint("decrypt it with 'qemu-img convert', or convert it to LUKS"));
    }
    if let Some(Encryption::Luks(Luks { version: 2, .. })) = header.encryption {
        let message = "it is encrypted with LUKS version 2, and QEMU reads version 1 only";
        return Err(ImageError::new(ErrorKind::Unsupported, message).hint(
            "convert the container with 'cryptsetup convert --type luks1', or copy the disk into a new one",
        ));
    }
    if let Some(extent) = header.extents.first() {
        let message = format!(
            "it keeps pieces of the disk in {} other files, which QEMU opens by name",
            header.extents.len()
        );
        return Err(ImageError::new(ErrorKind::ReferenceUnsupported, message)
            .about(crate::reference::redact(&extent.name))
            .hint("convert the image to one file with 'qemu-img convert'"));
    }
    if header.subformat == Some(DIFFERENCING) {
        let message = "it holds only what differs from a parent, which QEMU does not read in this format";
        return Err(ImageError::new(ErrorKind::Unsupported, message).hint(
            "merge it into its parent with the program that made it, then convert the result to qcow2",
        ));
    }
    match format {
        Format::Vmdk => vmdk::usable(header),
        Format::Vhdx => vhdx::usable(header),
        _ => Ok(()),
    }
}

/// The refusal of a format that cannot be used in a chain.
pub(crate) fn unsupported(format: Format) -> ImageError {
    let hint = match format {
        Format::Iso => "a disc has no format of its own: declare it as raw, and read-only",
        Format::Dir | Format::Fat => "declare the directory as <disk type='dir'> with the format 'fat'",
        _ => "convert the image to qcow2 or raw",
    };
    ImageError::new(ErrorKind::FormatUnsupported, format!("format '{format}' cannot be used in a chain"))
        .hint(hint)
}

/// Text in units of 16 bits up to the first NUL, for names that are shown and never followed: what is not
/// valid is replaced.
fn utf16(bytes: &[u8], order: fn([u8; 2]) -> u16) -> String {
    let (units, _) = bytes.as_chunks::<2>();
    let units: Vec<_> = units.iter().map(|unit| order(*unit)).take_while(|unit| *unit != 0).collect();
    String::from_utf16_lossy(&units)
}

/// The refusal of an image that is not of the format it is declared to be.
fn not_of_format(format: &str, offset: u64) -> Halt {
    let message = format!("it is declared to be {format}, but is not: the magic is missing");
    let error = ImageError::new(ErrorKind::Malformed, message);
    error.at(offset).hint("declare the format that it really has").into()
}

/// A name in a header: UTF-8 without NUL, so that no two readers see different names in it.
fn text(bytes: &[u8], offset: u64, what: &str) -> Result<String, Halt> {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.contains('\0') => Err(malformed(offset, format!("the {what} contains a NUL byte"))),
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(malformed(offset, format!("the {what} is not valid UTF-8"))),
    }
}
