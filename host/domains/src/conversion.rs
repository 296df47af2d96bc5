//! From the errors of the floors below to the one that verbs return.

use std::error::Error as StdError;
use std::fmt;

use hostler_domain::XmlError;
use hostler_grant::GrantError;
use hostler_image::{ErrorKind as ImageErrorKind, ImageError};
use hostler_launch::{LaunchError, LaunchErrorKind, ShimError, ShimErrorKind};
use hostler_network::NetworkError;
use hostler_package::PackageError;
use hostler_runtime::{Case, RuntimeError, RuntimeErrorKind};
use hostler_state::StateError;
use hostler_storage::StorageError;

use crate::error::{DAEMON_SUBJECT, Error, Kind};

/// Codes of the image rules begin with this. Refusing an image is a matter of rules, whatever is wrong with it.
const IMAGE_RULES: &str = "image.";

impl From<StateError> for Error {
    fn from(error: StateError) -> Self {
        use hostler_state::Kind as State;
        let kind = match error.kind {
            State::Busy => Kind::Busy,
            State::NotFound => Kind::NotFound,
            State::InvalidName | State::TooLarge => Kind::Invalid,
            State::Insecure | State::TooNew => Kind::Denied,
            _ => Kind::Host,
        };
        let mut converted = Self::new(kind, error.kind.code(), error.to_string());
        if let Some(address) = &error.daemon {
            converted = converted.about(DAEMON_SUBJECT, address);
        }
        hinted(converted, &error.hints).under(error)
    }
}

impl From<ImageError> for Error {
    fn from(error: ImageError) -> Self {
        let kind = match error.kind() {
            ImageErrorKind::Missing => Kind::NotFound,
            ImageErrorKind::Io => Kind::Host,
            ImageErrorKind::InvalidRequest | ImageErrorKind::FormatUnknown if error.layer().is_none() => {
                Kind::Invalid
            }
            // Refusing an image is a matter of rules, whatever is wrong with it.
            _ => Kind::Denied,
        };
        let mut converted = Self::new(kind, error.code(), error.to_string());
        let layer = error.layer().map(|layer| ("layer", layer.to_string()));
        let path = error.path().map(|path| ("path", path.display().to_string()));
        let reference = error.reference().map(|reference| ("reference", reference.to_owned()));
        let offset = error.offset().map(|offset| ("offset", offset.to_string()));
        for (what, value) in [layer, path, reference, offset].into_iter().flatten() {
            converted = converted.about(what, value);
        }
        converted = advised(converted, error.hints().iter().map(|hint| (&hint.text, hint.command.as_ref())));
        converted.under(error)
    }
}

impl From<XmlError> for Error {
    fn from(error: XmlError) -> Self {
        let mut converted = Self::new(Kind::Invalid, error.code(), error.message.clone())
            .about("line", error.position.line.to_string())
            .about("column", error.position.column.to_string());
        if !error.path.is_empty() {
            converted = converted.about("element", &error.path);
        }
        hinted(converted, &error.hints)
    }
}

impl From<ShimError> for Error {
    fn from(error: ShimError) -> Self {
        let kind = match error.kind {
            ShimErrorKind::NotRunning => Kind::Conflict,
            ShimErrorKind::TimedOut => Kind::TimedOut,
            ShimErrorKind::Console | ShimErrorKind::Display => Kind::NotFound,
            _ => Kind::Host,
        };
        hinted(Self::new(kind, error.code(), error.to_string()), &error.hints).under(error)
    }
}

impl From<LaunchError> for Error {
    fn from(error: LaunchError) -> Self {
        let kind = match error.kind {
            LaunchErrorKind::TimedOut => Kind::TimedOut,
            LaunchErrorKind::HypervisorFailed => Kind::Hypervisor,
            _ => Kind::Denied,
        };
        hinted(Self::new(kind, error.code(), error.to_string()), &error.hints).under(error)
    }
}

impl From<NetworkError> for Error {
    fn from(error: NetworkError) -> Self {
        use hostler_network::ErrorKind as Network;
        let kind = match error.kind {
            Network::Invalid => Kind::Invalid,
            Network::NotFound => Kind::NotFound,
            Network::Conflict => Kind::Conflict,
            Network::Denied => Kind::Denied,
            Network::Unsupported => Kind::Unsupported,
            _ => Kind::Host,
        };
        let mut converted = Self::new(kind, error.code(), error.to_string());
        for (what, value) in &error.subject {
            converted = converted.about(what, value);
        }
        converted = advised(converted, error.hints.iter().map(|hint| (&hint.text, hint.command.as_ref())));
        match error.into_source() {
            Some(source) => converted.caused_by(source),
            None => converted,
        }
    }
}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        use hostler_storage::ErrorKind as Storage;
        let kind = match error.kind {
            Storage::Invalid => Kind::Invalid,
            Storage::NotFound => Kind::NotFound,
            Storage::Exists => Kind::Exists,
            Storage::Conflict => Kind::Conflict,
            Storage::Denied => Kind::Denied,
            Storage::Unsupported => Kind::Unsupported,
            _ => Kind::Host,
        };
        let mut converted = Self::new(kind, error.code(), error.to_string());
        for (what, value) in &error.subject {
            // The outermost of two is the one that the user named.
            if !converted.subject.iter().any(|(known, _)| known == what) {
                converted = converted.about(what, value);
            }
        }
        converted = advised(converted, error.hints.iter().map(|hint| (&hint.text, hint.command.as_ref())));
        match error.into_source() {
            Some(source) => converted.caused_by(source),
            None => converted,
        }
    }
}

impl From<PackageError> for Error {
    fn from(error: PackageError) -> Self {
        use hostler_package::Kind as Package;
        let kind = match error.kind {
            Package::NotFound => Kind::NotFound,
            Package::Io | Package::Registry => Kind::Host,
            Package::Contract | Package::Import | Package::Digest | Package::Key | Package::Grant(_) => {
                Kind::Denied
            }
            _ => Kind::Invalid,
        };
        let converted = hinted(Self::new(kind, error.kind.code(), error.to_string()), &error.hints);
        match error.into_source() {
            Some(source) => converted.caused_by(source),
            None => converted,
        }
    }
}

impl From<GrantError> for Error {
    fn from(error: GrantError) -> Self {
        hinted(Self::new(Kind::Denied, error.kind.code(), error.to_string()), &error.hints)
    }
}

impl From<RuntimeError> for Error {
    fn from(error: RuntimeError) -> Self {
        let mut converted = match error.problem() {
            // The driver's own answer, or the host's through the driver: its words, without the driver's name
            // in front, for the driver did nothing wrong.
            Some(problem) => {
                let mut converted =
                    Self::new(kind_of(problem.case, &problem.code), &problem.code, &problem.message);
                converted.subject.extend(problem.details.iter().cloned());
                converted
            }
            None => Self::new(kind_of_failure(error.kind), error.code(), error.to_string()),
        };
        if let Some(driver) = error.driver() {
            converted = converted.about("driver", format!("{} {}", driver.name, driver.version));
        }
        if let Some(operation) = error.operation() {
            converted = converted.about("operation", operation.to_string());
        }
        let hints = error.hints().to_vec();
        hinted(converted, &hints).under(error)
    }
}

fn kind_of(case: Case, code: &str) -> Kind {
    match case {
        Case::Invalid | Case::Unsupported if code.starts_with(IMAGE_RULES) => Kind::Denied,
        Case::Invalid => Kind::Invalid,
        Case::Unsupported => Kind::Unsupported,
        Case::Denied => Kind::Denied,
        Case::NotFound => Kind::NotFound,
        Case::Conflict => Kind::Conflict,
        Case::TimedOut => Kind::TimedOut,
        Case::Hypervisor => Kind::Hypervisor,
        Case::Host => Kind::Host,
        Case::Other => Kind::Driver,
    }
}

fn kind_of_failure(kind: RuntimeErrorKind) -> Kind {
    match kind {
        RuntimeErrorKind::Denied => Kind::Denied,
        RuntimeErrorKind::Cache | RuntimeErrorKind::Worker | RuntimeErrorKind::Io => Kind::Host,
        _ => Kind::Driver,
    }
}

/// The error with hints in words, some of them with a command.
fn advised<'a>(error: Error, hints: impl Iterator<Item = (&'a String, Option<&'a String>)>) -> Error {
    hints.fold(error, |error, (text, command)| match command {
        Some(command) => error.hint_command(text, command),
        None => error.hint(text),
    })
}

fn hinted(mut error: Error, hints: &[String]) -> Error {
    for hint in hints {
        error = error.hint(hint);
    }
    error
}

impl Error {
    /// Keeps what lies under an error whose own sentence has been taken over.
    pub(crate) fn under(self, error: impl StdError + Send + Sync + 'static) -> Self {
        if error.source().is_some() { self.caused_by(Cause(Box::new(error))) } else { self }
    }
}

/// Shows only the source of the error it holds.
#[derive(Debug)]
struct Cause(Box<dyn StdError + Send + Sync>);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.source() {
            Some(source) => fmt::Display::fmt(source, f),
            None => fmt::Display::fmt(&self.0, f),
        }
    }
}

impl StdError for Cause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source().and_then(StdError::source)
    }
}
