//! The pristine store that a domain's own is made from.

use std::fs::File;
use std::io;

use crate::error::{ErrorKind, FirmwareError};
use crate::formats::{FormatFailure, Formats};
use crate::pflash::{FlashFormat, FlashImage};
use crate::volume::check_store;

/// What images of qcow2 begin with.
const QCOW2: &[u8] = b"QFI\xfb";

/// What a guest reads of a template, checked. It is the host's own file, so links to it are followed; what an image
/// of it names is not.
///
/// # Errors
/// [`ErrorKind::TemplateMissing`], [`ErrorKind::TemplateInvalid`], or why it cannot be read.
pub(crate) fn content(
    template: Option<&FlashImage>,
    formats: &dyn Formats,
) -> Result<Vec<u8>, FirmwareError> {
    let Some(template) = template else {
        return Err(FirmwareError::new(
            ErrorKind::TemplateMissing,
            "no template is known for the variable store",
        )
        .hint("name one in <nvram template='…'>, or let firmware='efi' choose code and template together"));
    };
    let path = &template.path;
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            FirmwareError::new(ErrorKind::TemplateMissing, "the template does not exist")
                .of(path)
                .hint("install the firmware package it belongs to; an existing variable store still starts")
        }
        _ => FirmwareError::io(path, "reading the template", error),
    })?;
    let is_file =
        file.metadata().map_err(|error| FirmwareError::io(path, "reading the template", error))?.is_file();
    if !is_file {
        return Err(
            FirmwareError::new(ErrorKind::TemplateInvalid, "the template is not a regular file").of(path)
        );
    }
    let bytes = formats.content(&file, template.format).map_err(|failure| unreadable(template, failure))?;
    check_store(&bytes).map(|_| ()).map_err(|error| {
        let error = FirmwareError::new(ErrorKind::TemplateInvalid, "the template cannot be used")
            .of(path)
            .caused_by(error);
        match template.format == FlashFormat::Raw && is_qcow2(&bytes) {
            true => error.hint("it looks like an image of qcow2; if it is one, say templateFormat='qcow2'"),
            false => error,
        }
    })?;
    Ok(bytes)
}

/// Whether bytes look like an image of qcow2. Good for a hint; nothing is decided by it.
pub(crate) fn is_qcow2(bytes: &[u8]) -> bool {
    bytes.starts_with(QCOW2)
}

fn unreadable(template: &FlashImage, failure: FormatFailure) -> FirmwareError {
    let path = &template.path;
    if template.format == FlashFormat::Raw
        && let Some(error) = failure.downcast_ref::<io::Error>()
        && error.kind() != io::ErrorKind::FileTooLarge
    {
        return FirmwareError::new(ErrorKind::Io, "reading the template failed").of(path).caused_by(failure);
    }
    let message = format!("the template cannot be read as {}", template.format.name());
    FirmwareError::new(ErrorKind::TemplateInvalid, message)
        .of(path)
        .caused_by(failure)
        .hint("say in which format it is with templateFormat='…', or name another template")
}
