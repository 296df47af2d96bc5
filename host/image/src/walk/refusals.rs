//! The words of every refusal of a walk: the layer, the reference, the rule, the remedy.

use std::io;

use super::facts::FileKind;
use super::target::{Named, Target, Wanted};
use crate::error::{ErrorKind, ImageError};
use crate::format::Format;
use crate::formats::Header;
use crate::location::ImagePath;
use crate::opener::OpenFailure;
use crate::policy::ReferencePolicy;
use crate::reference::Unsupported;
use crate::repair::{check_command, rebase_command};
use crate::request::{ChainRequest, DeclaredLayer};
use crate::source::{Profile, SourceReading, read_source};

/// Stands in a command for a path that only the operator knows.
const NEW_PATH: &str = "NEW_PATH";

/// A layer that names another file.
pub(super) struct Naming<'a> {
    pub(super) index: usize,
    pub(super) path: &'a ImagePath,
    pub(super) format: Format,
    pub(super) read_only: bool,
}

impl Naming<'_> {
    pub(super) fn blame(&self, error: ImageError) -> ImageError {
        error.in_layer(self.index, self.path.as_path())
    }
}

impl Target {
    /// Puts the blame where the file was named: on the image that names it, or on the declared file itself.
    fn blame(&self, error: ImageError) -> ImageError {
        match &self.named {
            Some(named) => error.in_layer(named.layer, named.path.as_path()).about(named.reference.clone()),
            None => error.in_layer(self.layer, self.path.as_path()),
        }
    }

    fn what(&self) -> String {
        match (&self.wanted, &self.named) {
            (Wanted::DataFile, _) => format!("its data file '{}'", self.path),
            (_, Some(_)) => format!("the image below, '{}',", self.path),
            (_, None) => "the file".to_owned(),
        }
    }
}

pub(super) fn out_of_turn() -> ImageError {
    ImageError::new(ErrorKind::InvalidRequest, "the walk was answered out of turn")
}

pub(super) fn too_deep(limit: usize) -> ImageError {
    ImageError::new(ErrorKind::TooDeep, format!("the chain goes below it, but already has {limit} layers, the limit"))
        .hint("shorten the chain: merge layers with block commit, or with 'qemu-img commit' while the domain is off")
}

pub(super) fn declared_without_format(index: usize, layer: &DeclaredLayer) -> ImageError {
    ImageError::new(
        ErrorKind::FormatMissing,
        "it is declared without a format, and formats are never guessed",
    )
    .in_layer(index, layer.path.as_path())
    .hint("add <format type='…'/> to its <backingStore> element")
}

pub(super) fn cannot_stand_on(naming: &Naming<'_>, declared: &DeclaredLayer) -> ImageError {
    let message =
        format!("'{}' is declared below it, but {} images have nothing below", declared.path, naming.format);
    naming.blame(
        ImageError::new(ErrorKind::InvalidRequest, message).hint("correct the format or the <backingStore>"),
    )
}

pub(super) fn no_data_file(naming: &Naming<'_>, path: &ImagePath) -> ImageError {
    let message = format!("the data file '{path}' is declared, but the image keeps its data in itself");
    naming.blame(ImageError::new(ErrorKind::InvalidRequest, message).hint("remove the <dataStore> element"))
}

pub(super) fn unsupported_reference(
    naming: &Naming<'_>,
    why: &Unsupported,
    name: &str,
    shown: String,
    wanted: &Wanted,
) -> ImageError {
    let message = format!("the reference {}", why.explanation());
    let error = naming.blame(ImageError::new(ErrorKind::ReferenceUnsupported, message).about(shown));
    let error = match declaration(name, wanted) {
        Some(xml) => error.hint(format!("what it describes is, in a document: {xml}")),
        None => error,
    };
    let remedy = "this version opens files and block devices only; copy the source into one, and record that";
    match wanted {
        Wanted::Layer { format, .. } => {
            error.hint_command(remedy, rebase_command(naming.path.as_path(), NEW_PATH, *format))
        }
        Wanted::DataFile | Wanted::Advice { .. } => error.hint(remedy),
    }
}

/// The element that declares what `name` describes, on one line and without its secrets.
fn declaration(name: &str, wanted: &Wanted) -> Option<String> {
    let (source, secret) = match read_source(name, Profile::Strict) {
        SourceReading::Usable(source) => (source, false),
        SourceReading::WithUnsupported { source, .. } => (source, true),
        SourceReading::Malformed { .. } => return None,
    };
    let element = if matches!(wanted, Wanted::DataFile) { "dataStore" } else { "backingStore" };
    let format = match wanted {
        Wanted::Layer { format, .. } => format.xml_name(),
        Wanted::DataFile => Format::Raw.xml_name(),
        Wanted::Advice { .. } => "…",
    };
    let body: String = source.without_secrets().to_xml().lines().map(str::trim).collect();
    let secret =
        if secret { "; what it carries beside that belongs in a <secret> and its <auth>" } else { "" };
    Some(format!(
        "<{element} type='{}'><format type='{format}'/>{body}</{element}>{secret}",
        source.location.type_name()
    ))
}

pub(super) fn malformed_reference(naming: &Naming<'_>, why: &str, shown: String) -> ImageError {
    let message = format!("the name of another file in it cannot be used: {why}");
    naming
        .blame(ImageError::new(ErrorKind::ReferenceMalformed, message).about(shown))
        .hint("declare what is below in <backingStore> of the domain, or repair the reference with 'qemu-img rebase -u'")
}

pub(super) fn denied(
    naming: &Naming<'_>,
    path: &ImagePath,
    shown: String,
    policy: &ReferencePolicy,
    wanted: &Wanted,
) -> ImageError {
    let message = format!("it names '{path}', which the reference policy does not allow");
    let element = if matches!(wanted, Wanted::DataFile) { "<dataStore>" } else { "<backingStore>" };
    naming
        .blame(ImageError::new(ErrorKind::ReferenceDenied, message).about(shown))
        .hint(format!("if the domain may use that file, declare it in {element}"))
        .hint(format!("this policy lets an image name: {}", policy.describe()))
}

pub(super) fn not_an_image(target: &Target, kind: FileKind) -> ImageError {
    let message = format!("{} is {}, which cannot hold an image", target.what(), kind.describe());
    target.blame(ImageError::new(ErrorKind::NotAnImage, message))
}

pub(super) fn looped(target: &Target, layer: usize) -> ImageError {
    let message = format!("'{}' is in the chain already, as layer {layer}", target.path);
    target
        .blame(ImageError::new(ErrorKind::Loop, message))
        .hint("one of the layers records the wrong file; point it to the right one with 'qemu-img rebase -u'")
}

pub(super) fn not_read(target: &Target, error: io::Error) -> ImageError {
    let message = "reading its header failed";
    ImageError::new(ErrorKind::Io, message).in_layer(target.layer, target.path.as_path()).caused_by(error)
}

pub(super) fn not_opened(target: &Target, failure: OpenFailure) -> ImageError {
    let what = target.what();
    let new = |kind, message| target.blame(ImageError::new(kind, message));
    match failure {
        OpenFailure::Missing => missing(target),
        OpenFailure::Escapes => new(
            ErrorKind::ReferenceDenied,
            format!("{what} is reached through a link or lies outside what was granted"),
        )
        .hint("name the file itself instead of a link, or declare it in the domain"),
        OpenFailure::PermissionDenied(error) => {
            new(ErrorKind::PermissionDenied, format!("{what} may not be opened by this user"))
                .caused_by(error)
                .hint("check the permissions of the file and of every directory above it")
        }
        OpenFailure::Io(error) => new(ErrorKind::Io, format!("{what} could not be opened")).caused_by(error),
    }
}

fn missing(target: &Target) -> ImageError {
    let error =
        target.blame(ImageError::new(ErrorKind::Missing, format!("{} does not exist", target.what())));
    match (&target.wanted, &target.named) {
        (Wanted::Layer { format, .. }, Some(named)) => error.hint_command(
            "put the file back, or record where it is now",
            rebase_command(named.path.as_path(), NEW_PATH, *format),
        ),
        _ => error.hint("put the file back, or correct the path in the domain"),
    }
}

/// The refusal of a reference without a usable format. `content` is what the image looks like, where it
/// could be looked at: `Some(None)` is "like no image format", that is, raw data.
pub(super) fn format_gap(target: &Target, content: Option<Option<Format>>) -> ImageError {
    let (kind, message) = match &target.wanted {
        Wanted::Advice { recorded: Some(name) } => (
            ErrorKind::FormatUnknown,
            format!("it records '{name}' as the format of the image below, which is none"),
        ),
        _ => (
            ErrorKind::FormatMissing,
            "it does not record the format of the image below, and formats are never guessed".to_owned(),
        ),
    };
    let error = target.blame(ImageError::new(kind, message));
    let Some(Named { path, reference, .. }) = &target.named else { return error };
    let format = content.map(|recognised| recognised.map_or(Format::Raw, Format::opened_as));
    let text = match format {
        Some(format) => {
            format!("'{}' looks like {format}; if you know that this is right, record it", target.path)
        }
        None => format!("'{}' could not be looked at; if it is raw, record that", target.path),
    };
    error
        .hint_command(text, rebase_command(path.as_path(), reference, format.unwrap_or(Format::Raw)))
        .hint("or declare the image with its format in <backingStore> of the domain")
}

/// The rules for a sound header that depend on the request.
pub(super) fn check_header(
    target: &Target,
    format: Format,
    header: &Header,
    request: &ChainRequest,
) -> Result<(), ImageError> {
    let blame = |error: ImageError| error.in_layer(target.layer, target.path.as_path());
    if header.features.corrupt && !request.read_only {
        let message = "it is marked as corrupt, so a chain with it is opened for reading only";
        let error = blame(ImageError::new(ErrorKind::Corrupt, message));
        return Err(error.hint_command(
            "copy the image, then let qemu-img repair the original",
            check_command(target.path.as_path(), format),
        ));
    }
    // A raw image is as large as its file: nobody claims anything.
    if format != Format::Raw && header.virtual_size > request.limits.virtual_size {
        let (size, limit) = (header.virtual_size, request.limits.virtual_size);
        let message = format!("its virtual size is {size} bytes, the limit is {limit}");
        return Err(
            blame(ImageError::new(ErrorKind::TooLarge, message)).hint("raise the limit if the size is right")
        );
    }
    Ok(())
}
