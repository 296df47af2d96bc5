//! The contract's `error`: made from what went wrong on the host's side, and read when a driver answers with it.

use std::time::Duration;

use crate::bindings::wit::types::{Error, Fact, Problem as WitProblem};
use crate::error::{Case, Problem};

/// A problem without hints or details.
pub(crate) fn problem(code: &str, message: impl Into<String>) -> WitProblem {
    WitProblem { code: code.to_owned(), message: message.into(), hints: Vec::new(), details: Vec::new() }
}

/// One fact.
pub(crate) fn fact(key: &str, value: impl Into<String>) -> Fact {
    Fact { key: key.to_owned(), value: value.into() }
}

/// `yes` or `no`, as facts say it.
pub(crate) fn yes_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

impl WitProblem {
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    pub(crate) fn detail(mut self, key: &str, value: impl Into<String>) -> Self {
        self.details.push(fact(key, value));
        self
    }
}

/// A host call took longer than it may.
pub(crate) fn timed_out(call: &str, allowed: Duration) -> Error {
    let message = format!("the host call {call} took more than {} ms", allowed.as_millis());
    Error::TimedOut(
        problem("host.timed-out", message).hint("look at the state of the domain before trying again"),
    )
}

/// The operating system or the host's own state failed.
pub(crate) fn host(code: &str, error: &(dyn std::error::Error + 'static)) -> WitProblem {
    problem(code, with_causes(error))
}

/// An error and its causes in one sentence: the contract has one text for them.
pub(crate) fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (case, told) = match error {
            Error::Invalid(problem) => (Case::Invalid, problem),
            Error::Unsupported(problem) => (Case::Unsupported, problem),
            Error::Denied(problem) => (Case::Denied, problem),
            Error::NotFound(problem) => (Case::NotFound, problem),
            Error::Conflict(problem) => (Case::Conflict, problem),
            Error::TimedOut(problem) => (Case::TimedOut, problem),
            Error::Hypervisor(problem) => (Case::Hypervisor, problem),
            Error::Host(problem) => (Case::Host, problem),
            Error::Other(message) => (Case::Other, problem("driver.other", message)),
        };
        let WitProblem { code, message, hints, details } = told;
        let details = details.into_iter().map(|fact| (fact.key, fact.value)).collect();
        Self { case, code, message, hints, details }.limited()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_of_a_driver_keeps_case_code_hints_and_details() {
        let error = Error::NotFound(problem("storage.no-disk", "no disk").hint("vda").detail("disk", "vdb"));
        let read = Problem::from(error);
        assert_eq!((read.case, read.code.as_str()), (Case::NotFound, "storage.no-disk"));
        assert_eq!(read.hints, ["vda"]);
        assert_eq!(read.details, [("disk".to_owned(), "vdb".to_owned())]);
        assert_eq!(Problem::from(Error::Other("x".into())).code, "driver.other");
    }

    #[test]
    fn causes_follow_the_message() {
        let cause = std::io::Error::other(std::fmt::Error);
        assert!(with_causes(&cause).contains("error"));
    }
}
