//! Disks that name a volume of a pool, as the disks they are: the host has looked the volumes up before the call.

use std::borrow::Cow;

use hostler_domain::disk::Disk;
use hostler_storage::{ErrorKind, StorageError, Translations, references};

use crate::answer;
use crate::bindings::wit::types::Error;

/// The disk with every volume in its chain at its place; the disk itself where it names none.
///
/// # Errors
/// Why a volume cannot be used, as whoever looked it up has it.
pub(crate) fn translated<'a>(disk: &'a Disk, translations: &Translations) -> Result<Cow<'a, Disk>, Error> {
    if references(&disk.source).next().is_none() {
        return Ok(Cow::Borrowed(disk));
    }
    let source = translations.resolve(&disk.source).map_err(|error| refused(&error, disk.target.as_str()))?;
    Ok(Cow::Owned(Disk { source, ..disk.clone() }))
}

fn refused(error: &StorageError, target: &str) -> Error {
    let mut problem = answer::host(error.code(), error).detail("disk", target);
    problem.details.extend(error.subject.iter().map(|(what, value)| answer::fact(what, value.clone())));
    problem.hints = error
        .hints
        .iter()
        .map(|hint| match &hint.command {
            Some(command) => format!("{}: {command}", hint.text),
            None => hint.text.clone(),
        })
        .collect();
    match error.kind {
        ErrorKind::Invalid => Error::Invalid(problem),
        ErrorKind::NotFound => Error::NotFound(problem),
        ErrorKind::Conflict | ErrorKind::Exists => Error::Conflict(problem),
        ErrorKind::Denied => Error::Denied(problem),
        ErrorKind::Unsupported => Error::Unsupported(problem),
        _ => Error::Host(problem),
    }
}
