//! What can be wrong with an image, a reference or a chain, and what to do about it.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

/// What went wrong, for programs. Each kind has a stable code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A backing reference does not say its format, and formats are never guessed.
    FormatMissing,
    /// A recorded format name is not the name of an image format.
    FormatUnknown,
    /// The format is known, but this version cannot use it in a chain.
    FormatUnsupported,
    /// The header contradicts the format's specification or itself.
    Malformed,
    /// The image ends before the bytes that its header announces.
    Truncated,
    /// The header is sound but asks for a feature that is not supported.
    Unsupported,
    /// The image is marked as corrupt by the program that last wrote it.
    Corrupt,
    /// The virtual size is above the limit of the request.
    TooLarge,
    /// Understanding the header would need more bytes than [`crate::READ_BUDGET`].
    TooComplex,
    /// A file appears twice in one chain.
    Loop,
    /// The chain has more layers than the limit of the request.
    TooDeep,
    /// The reference policy does not allow an image to name this file.
    ReferenceDenied,
    /// The reference is understood, but is of a kind that is not supported.
    ReferenceUnsupported,
    /// The reference cannot be understood.
    ReferenceMalformed,
    /// The file does not exist.
    Missing,
    /// The operating system does not let this process open the file.
    PermissionDenied,
    /// The name leads to something that cannot hold an image: a directory, FIFO, socket or character device.
    NotAnImage,
    /// The request itself is wrong, for example a relative path.
    InvalidRequest,
    /// Reading failed.
    Io,
}

impl ErrorKind {
    /// The stable dotted code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::FormatMissing => "image.format-missing",
            Self::FormatUnknown => "image.format-unknown",
            Self::FormatUnsupported => "image.format-unsupported",
            Self::Malformed => "image.malformed",
            Self::Truncated => "image.truncated",
            Self::Unsupported => "image.unsupported",
            Self::Corrupt => "image.corrupt",
            Self::TooLarge => "image.too-large",
            Self::TooComplex => "image.too-complex",
            Self::Loop => "image.loop",
            Self::TooDeep => "image.too-deep",
            Self::ReferenceDenied => "image.reference-denied",
            Self::ReferenceUnsupported => "image.reference-unsupported",
            Self::ReferenceMalformed => "image.reference-malformed",
            Self::Missing => "image.missing",
            Self::PermissionDenied => "image.permission-denied",
            Self::NotAnImage => "image.not-an-image",
            Self::InvalidRequest => "image.invalid-request",
            Self::Io => "image.io",
        }
    }
}

/// What to do next, with a command that may be pasted where there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// A sentence.
    pub text: String,
    /// A shell command that applies the remedy; its words are quoted.
    pub command: Option<String>,
}

/// A refusal: what, in which layer, about which reference, and the remedies.
#[derive(Debug)]
pub struct ImageError {
    kind: ErrorKind,
    // Boxed: errors travel through every parser step and the good path must stay small.
    context: Box<Context>,
}

#[derive(Debug, Default)]
struct Context {
    message: String,
    layer: Option<usize>,
    path: Option<PathBuf>,
    reference: Option<String>,
    offset: Option<u64>,
    hints: Vec<Hint>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl ImageError {
    /// A refusal of this kind: what was wanted and what was found, without the place.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, context: Box::new(Context { message: message.into(), ..Context::default() }) }
    }

    /// Adds where in the image the fault lies, in bytes.
    #[must_use]
    pub fn at(mut self, offset: u64) -> Self {
        self.context.offset = Some(offset);
        self
    }

    /// Adds the layer and the image at fault.
    #[must_use]
    pub fn in_layer(mut self, layer: usize, path: &Path) -> Self {
        self.context.layer = Some(layer);
        self.context.path = Some(path.to_path_buf());
        self
    }

    /// Adds the reference in question; it must be safe to show (see [`crate::redact`]).
    #[must_use]
    pub fn about(mut self, reference: impl Into<String>) -> Self {
        self.context.reference = Some(reference.into());
        self
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, text: impl Into<String>) -> Self {
        self.context.hints.push(Hint { text: text.into(), command: None });
        self
    }

    /// Adds what to do next with a command that does it; the words of the command must be quoted for a shell.
    #[must_use]
    pub fn hint_command(mut self, text: impl Into<String>, command: String) -> Self {
        self.context.hints.push(Hint { text: text.into(), command: Some(command) });
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.context.source = Some(Box::new(source));
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The stable dotted code of [`ImageError::kind`].
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }

    /// What was wanted and what was found, without the place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.context.message
    }

    /// The layer at fault, counted from the active layer, which is 0.
    #[must_use]
    pub fn layer(&self) -> Option<usize> {
        self.context.layer
    }

    /// The image at fault.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.context.path.as_deref()
    }

    /// The reference in question, stripped of secrets and of control characters.
    #[must_use]
    pub fn reference(&self) -> Option<&str> {
        self.context.reference.as_deref()
    }

    /// Where in the image the fault lies, in bytes.
    #[must_use]
    pub fn offset(&self) -> Option<u64> {
        self.context.offset
    }

    /// What to do next, best remedy first.
    #[must_use]
    pub fn hints(&self) -> &[Hint] {
        &self.context.hints
    }
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Context { message, layer, path, reference, offset, .. } = &*self.context;
        match (layer, path) {
            (Some(layer), Some(path)) => write!(f, "image '{}' (layer {layer}): {message}", path.display())?,
            _ => f.write_str(message)?,
        }
        if let Some(reference) = reference {
            write!(f, ", reference '{reference}'")?;
        }
        if let Some(offset) = offset {
            write!(f, ", at byte {offset}")?;
        }
        Ok(())
    }
}

impl Error for ImageError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.context.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_the_layer_the_reference_and_the_offset_but_not_the_source() {
        let error = ImageError::new(ErrorKind::Malformed, "cluster bits are 40, allowed are 9 to 21")
            .in_layer(2, Path::new("/srv/base.qcow2"))
            .about("x")
            .at(20)
            .caused_by(std::io::Error::other("hidden"));
        assert_eq!(
            error.to_string(),
            "image '/srv/base.qcow2' (layer 2): cluster bits are 40, allowed are 9 to 21, reference 'x', at byte 20"
        );
        assert_eq!(error.source().unwrap().to_string(), "hidden");
        assert_eq!(error.code(), "image.malformed");
    }
}
