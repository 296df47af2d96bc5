//! Flash images that are not plain bytes, read and made by qemu-img on open files: what a variable store of qcow2 needs.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};

use hostler_firmware::{
    FlashFormat, FormatFailure, Formats, InUse, MAX_STORE_BYTES, MAX_STORE_FILE_BYTES, read_bounded,
};
use hostler_image::{Format, Header, redact};
use hostler_storage::{ErrorKind as StorageErrorKind, Programs, convert_file};
use rustix::fs::{MemfdFlags, memfd_create};

use crate::inspect::header_of;

/// Formats as qemu-img knows them. Nothing is opened by name: what is read is an open file whose header was judged, and
/// what is made is in memory until its store is written.
#[derive(Debug, Clone)]
pub struct QemuFormats {
    programs: Programs,
}

impl QemuFormats {
    /// With the `qemu-img` of these programs.
    #[must_use]
    pub fn new(programs: Programs) -> Self {
        Self { programs }
    }

    fn convert(&self, source: (&File, Format), to: Format) -> Result<File, FormatFailure> {
        let target = memory()?;
        convert_file(source, (&target, to), &self.programs).map_err(|error| -> FormatFailure {
            match error.kind {
                StorageErrorKind::Conflict => Box::new(InUse(Box::new(error))),
                _ => Box::new(error),
            }
        })?;
        Ok(target)
    }
}

impl Formats for QemuFormats {
    fn content(&self, image: &File, format: FlashFormat) -> Result<Vec<u8>, FormatFailure> {
        if format == FlashFormat::Raw {
            return Ok(read_bounded(image, MAX_STORE_BYTES)?);
        }
        let header = header_of(image.try_clone()?, image_format(format))?;
        if let Some(flaw) = flaw(&header) {
            return Err(format!("it {}", flaw.what).into());
        }
        if let Some(backing) = &header.backing {
            return Err(
                format!("it stands on '{}', and flash has nothing below it", redact(&backing.name)).into()
            );
        }
        if header.virtual_size > MAX_STORE_BYTES {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge).into());
        }
        let mut content = self.convert((image, image_format(format)), Format::Raw)?;
        content.seek(SeekFrom::Start(0))?;
        Ok(read_bounded(&content, MAX_STORE_BYTES)?)
    }

    fn image(&self, content: &[u8], format: FlashFormat) -> Result<Vec<u8>, FormatFailure> {
        if format == FlashFormat::Raw {
            return Ok(content.to_vec());
        }
        let mut plain = memory()?;
        plain.write_all(content)?;
        let mut made = self.convert((&plain, Format::Raw), image_format(format))?;
        made.seek(SeekFrom::Start(0))?;
        Ok(read_bounded(&made, MAX_STORE_FILE_BYTES)?)
    }
}

/// A file without a name, in memory.
fn memory() -> io::Result<File> {
    Ok(File::from(memfd_create(c"hostler-flash", MemfdFlags::CLOEXEC)?))
}

fn image_format(format: FlashFormat) -> Format {
    match format {
        FlashFormat::Raw => Format::Raw,
        FlashFormat::Qcow2 => Format::Qcow2,
    }
}

/// Why an image is no flash image, whatever stands in it.
pub(crate) struct Flaw {
    pub(crate) code: &'static str,
    /// In words that follow the image's name.
    pub(crate) what: &'static str,
    pub(crate) hint: &'static str,
    /// What it names.
    pub(crate) reference: Option<String>,
}

/// What keeps an image from being one file that can be read.
pub(crate) fn flaw(header: &Header) -> Option<Flaw> {
    if let Some(record) = &header.data_file {
        return Some(Flaw {
            code: "firmware.data-file",
            what: "keeps its data in another file",
            hint: "convert it to one file with 'hostler image convert'",
            reference: Some(redact(&record.name)),
        });
    }
    header.encryption.is_some().then_some(Flaw {
        code: "firmware.encrypted",
        what: "is encrypted, and flash has no key",
        hint: "convert it to one that is not with 'hostler image convert'",
        reference: None,
    })
}

#[cfg(test)]
mod tests;
