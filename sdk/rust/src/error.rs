//! Making problems that a person can act on and a program can match.

use crate::{Error, Fact, Problem};
use hostler_domain::XmlError;

/// Starts a problem with its stable code and its one sentence.
pub fn problem(code: &str, message: impl Into<String>) -> Problem {
    Problem { code: code.to_owned(), message: message.into(), hints: Vec::new(), details: Vec::new() }
}

/// Adds to a problem, and turns it into the right case of [`Error`].
pub trait ProblemExt: Sized {
    /// Adds what the reader can do next.
    #[must_use]
    fn hint(self, text: impl Into<String>) -> Self;
    /// Adds one more known thing.
    #[must_use]
    fn detail(self, key: &str, value: impl Into<String>) -> Self;
    /// The document or an argument is wrong.
    fn invalid(self) -> Error;
    /// Well formed, but it cannot be done here.
    fn unsupported(self) -> Error;
    /// The domain is not in the state for it.
    fn conflict(self) -> Error;
    /// The hypervisor refused or failed.
    fn hypervisor(self) -> Error;
    /// A deadline passed.
    fn timed_out(self) -> Error;
}

impl ProblemExt for Problem {
    fn hint(mut self, text: impl Into<String>) -> Self {
        self.hints.push(text.into());
        self
    }
    fn detail(mut self, key: &str, value: impl Into<String>) -> Self {
        self.details.push(Fact { key: key.to_owned(), value: value.into() });
        self
    }
    fn invalid(self) -> Error {
        Error::Invalid(self)
    }
    fn unsupported(self) -> Error {
        Error::Unsupported(self)
    }
    fn conflict(self) -> Error {
        Error::Conflict(self)
    }
    fn hypervisor(self) -> Error {
        Error::Hypervisor(self)
    }
    fn timed_out(self) -> Error {
        Error::TimedOut(self)
    }
}

impl From<XmlError> for Error {
    fn from(error: XmlError) -> Self {
        let mut problem = problem(error.code(), error.message.clone())
            .detail("line", error.position.line.to_string())
            .detail("column", error.position.column.to_string())
            .detail("element", error.path.clone());
        problem.hints.clone_from(&error.hints);
        Error::Invalid(problem)
    }
}
