//! What can go wrong with firmware and variable stores, and what to do about it.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

/// What went wrong, for programs. Each kind has a stable code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A descriptor cannot be read or understood.
    DescriptorInvalid,
    /// No descriptor offers what was asked for.
    NoMatch,
    /// No template is known for a variable store that has to be created.
    TemplateMissing,
    /// A template is not a variable store, or of a format that cannot be copied.
    TemplateInvalid,
    /// A variable store does not exist.
    StoreMissing,
    /// A variable store is damaged, or is no variable store.
    StoreInvalid,
    /// A variable store is of a kind that is not known here.
    StoreUnsupported,
    /// What stands at the path of a variable store is not a plain file.
    StoreNotAFile,
    /// The document keeps the variable store where this host makes none: on a device, on a server.
    StoreElsewhere,
    /// Something has the variable store open.
    StoreInUse,
    /// The document asks for code that the guest may write to.
    CodeWritable,
    /// The document asks for firmware that needs system management mode, and for a machine without it.
    SmmExcluded,
    /// Code, store or template has a format that no flash device takes.
    FormatUnknown,
    /// An image of a format that is not plain bytes cannot be read or made.
    FormatUnreadable,
    /// Reading or writing failed.
    Io,
}

impl ErrorKind {
    /// The stable dotted code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::DescriptorInvalid => "firmware.descriptor-invalid",
            Self::NoMatch => "firmware.no-match",
            Self::TemplateMissing => "firmware.template-missing",
            Self::TemplateInvalid => "firmware.template-invalid",
            Self::StoreMissing => "firmware.store-missing",
            Self::StoreInvalid => "firmware.store-invalid",
            Self::StoreUnsupported => "firmware.store-unsupported",
            Self::StoreNotAFile => "firmware.store-not-a-file",
            Self::StoreElsewhere => "firmware.store-elsewhere",
            Self::StoreInUse => "firmware.store-in-use",
            Self::CodeWritable => "firmware.code-writable",
            Self::SmmExcluded => "firmware.smm-excluded",
            Self::FormatUnknown => "firmware.format-unknown",
            Self::FormatUnreadable => "firmware.format-unreadable",
            Self::Io => "firmware.io",
        }
    }
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// A sentence.
    pub text: String,
}

/// A descriptor that was not chosen, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedOver {
    /// The descriptor.
    pub descriptor: PathBuf,
    /// The first rule that it fails.
    pub reason: String,
}

/// A refusal or failure.
#[derive(Debug)]
pub struct FirmwareError {
    kind: ErrorKind,
    // Boxed, so that results stay small on the good path.
    context: Box<Context>,
}

#[derive(Debug, Default)]
struct Context {
    message: String,
    path: Option<PathBuf>,
    hints: Vec<Hint>,
    passed_over: Vec<PassedOver>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl FirmwareError {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, context: Box::new(Context { message: message.into(), ..Context::default() }) }
    }

    pub(crate) fn io(path: &Path, what: &str, source: std::io::Error) -> Self {
        Self::new(ErrorKind::Io, format!("{what} failed")).of(path).caused_by(source)
    }

    pub(crate) fn of(mut self, path: &Path) -> Self {
        self.context.path = Some(path.to_path_buf());
        self
    }

    pub(crate) fn hint(mut self, text: impl Into<String>) -> Self {
        self.context.hints.push(Hint { text: text.into() });
        self
    }

    pub(crate) fn passing_over(mut self, passed_over: Vec<PassedOver>) -> Self {
        self.context.passed_over = passed_over;
        self
    }

    pub(crate) fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.context.source = Some(source.into());
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The stable dotted code of [`FirmwareError::kind`].
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }

    /// The file concerned.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.context.path.as_deref()
    }

    /// What to do next, best remedy first.
    #[must_use]
    pub fn hints(&self) -> &[Hint] {
        &self.context.hints
    }

    /// The descriptors that were looked at and not chosen, in the order of the search.
    #[must_use]
    pub fn passed_over(&self) -> &[PassedOver] {
        &self.context.passed_over
    }
}

impl fmt::Display for FirmwareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.context.path {
            Some(path) => write!(f, "'{}': {}", path.display(), self.context.message)?,
            None => f.write_str(&self.context.message)?,
        }
        for PassedOver { descriptor, reason } in &self.context.passed_over {
            write!(f, "; '{}' {reason}", descriptor.display())?;
        }
        Ok(())
    }
}

impl Error for FirmwareError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.context.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}
