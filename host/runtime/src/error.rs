//! What can go wrong between the host and a driver, always naming driver, version and operation.

use std::error::Error;
use std::fmt;

use crate::limits;
use crate::operation::Operation;
use crate::text;

/// What went wrong, small enough to match on. Each kind has a stable code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RuntimeErrorKind {
    /// The driver's code trapped, or broke a rule of the contract. Nothing but the call is lost.
    Trap,
    /// The driver passed a deadline: of processor time or of wall time.
    Timeout,
    /// The driver wanted more memory, tables or handles than it may have.
    Memory,
    /// The driver calls the host more often than its tenant may.
    Rate,
    /// The driver was made for a contract that this host does not offer.
    Contract,
    /// The driver imports or asks for what the policy does not grant.
    Denied,
    /// The driver itself answered with an error: see [`RuntimeError::problem`].
    Driver,
    /// The file is not a driver component.
    Load,
    /// The cache of compiled components cannot be used safely.
    Cache,
    /// The process that runs the driver cannot be used, or ended before it answered.
    Worker,
    /// The host failed: an I/O error, a thread that could not be made.
    Io,
}

impl RuntimeErrorKind {
    /// The stable dotted code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Trap => "driver.trap",
            Self::Timeout => "driver.timeout",
            Self::Memory => "driver.memory",
            Self::Rate => "driver.rate",
            Self::Contract => "driver.contract",
            Self::Denied => "driver.denied",
            Self::Driver => "driver.error",
            Self::Load => "driver.load",
            Self::Cache => "driver.cache",
            Self::Worker => "driver.worker",
            Self::Io => "driver.io",
        }
    }
}

/// Which driver an error is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriverIdentity {
    /// The name in its manifest.
    pub name: String,
    /// The version in its manifest.
    pub version: String,
    /// The component's digest: `sha256:` and 64 hexadecimal digits.
    pub digest: String,
}

/// Whose turn it is, as the contract's `error` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Case {
    /// The document or an argument is wrong.
    Invalid,
    /// This driver, hypervisor or host cannot do it.
    Unsupported,
    /// The grant does not cover it.
    Denied,
    /// The thing named does not exist.
    NotFound,
    /// Not in this state.
    Conflict,
    /// A deadline passed; it may or may not have happened.
    TimedOut,
    /// The hypervisor refused or failed.
    Hypervisor,
    /// The host failed.
    Host,
    /// Anything else.
    Other,
}

/// A driver's answer that is an error: kept whole, its texts escaped and limited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whose turn it is.
    pub case: Case,
    /// Stable dotted code; `driver.other` when the driver gave none.
    pub code: String,
    /// One sentence.
    pub message: String,
    /// What to do next, the likeliest first.
    pub hints: Vec<String>,
    /// What else is known, such as `line`, `column`, `element`.
    pub details: Vec<(String, String)>,
}

/// A failed call, load or cache operation. `Display` says who, what and where; the cause is the source.
#[derive(Debug)]
pub struct RuntimeError {
    /// What went wrong.
    pub kind: RuntimeErrorKind,
    // Boxed: errors cross every host function, and the good path must stay small.
    context: Box<Context>,
}

#[derive(Debug, Default)]
struct Context {
    driver: Option<DriverIdentity>,
    operation: Option<Operation>,
    message: String,
    hints: Vec<String>,
    problem: Option<Problem>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl RuntimeError {
    pub(crate) fn new(kind: RuntimeErrorKind, message: impl Into<String>) -> Self {
        Self { kind, context: Box::new(Context { message: message.into(), ..Context::default() }) }
    }

    pub(crate) fn from_problem(problem: Problem) -> Self {
        let mut error = Self::new(RuntimeErrorKind::Driver, problem.message.clone());
        error.context.hints.clone_from(&problem.hints);
        error.context.problem = Some(problem);
        error
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.context.hints.push(hint.into());
        self
    }

    pub(crate) fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.context.source = Some(source.into());
        self
    }

    pub(crate) fn of(mut self, driver: &DriverIdentity) -> Self {
        self.context.driver = Some(driver.clone());
        self
    }

    pub(crate) fn during(mut self, operation: Operation) -> Self {
        self.context.operation = Some(operation);
        self
    }

    /// The stable dotted code: the driver's own where it answered with an error.
    #[must_use]
    pub fn code(&self) -> &str {
        self.context.problem.as_ref().map_or(self.kind.code(), |problem| &problem.code)
    }

    /// The driver, once its manifest has been read.
    #[must_use]
    pub fn driver(&self) -> Option<&DriverIdentity> {
        self.context.driver.as_ref()
    }

    /// The operation that failed; none when the driver was being loaded.
    #[must_use]
    pub fn operation(&self) -> Option<Operation> {
        self.context.operation
    }

    /// What was wanted and what was found, without driver and operation.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.context.message
    }

    /// What to do next, most useful first; may be empty.
    #[must_use]
    pub fn hints(&self) -> &[String] {
        &self.context.hints
    }

    /// The driver's own answer, for [`RuntimeErrorKind::Driver`].
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        self.context.problem.as_ref()
    }
}

impl fmt::Display for RuntimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(driver) = &self.context.driver {
            write!(f, "driver {} {}", driver.name, driver.version)?;
            if let Some(operation) = self.context.operation {
                write!(f, ", {operation}")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.context.message)
    }
}

impl Error for RuntimeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.context.source.as_ref().map(|source| &**source as _)
    }
}

impl Problem {
    /// The same, with every text escaped and every list cut; a code that is none becomes `driver.other`.
    pub(crate) fn limited(self) -> Self {
        let short = |text: &str| text::escape(text, limits::TEXT_BYTES);
        let dotted = text::is_word(&self.code, &['-', '.'], limits::TEXT_BYTES) && self.code.contains('.');
        Self {
            case: self.case,
            code: if dotted { self.code } else { "driver.other".to_owned() },
            message: text::sentence(&self.message, limits::TEXT_BYTES),
            hints: self.hints.iter().take(limits::HINTS).map(|hint| short(hint)).collect(),
            details: self
                .details
                .iter()
                .take(limits::FACTS)
                .map(|(key, value)| (short(key), short(value)))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> DriverIdentity {
        DriverIdentity { name: "qemu".into(), version: "0.1.0".into(), digest: "sha256:00".into() }
    }

    #[test]
    fn codes_are_stable_and_distinct() {
        use RuntimeErrorKind as K;
        let kinds = [
            (K::Trap, "driver.trap"),
            (K::Timeout, "driver.timeout"),
            (K::Memory, "driver.memory"),
            (K::Contract, "driver.contract"),
            (K::Denied, "driver.denied"),
            (K::Driver, "driver.error"),
            (K::Load, "driver.load"),
            (K::Cache, "driver.cache"),
            (K::Worker, "driver.worker"),
            (K::Io, "driver.io"),
        ];
        for (kind, code) in kinds {
            assert_eq!(kind.code(), code);
        }
    }

    #[test]
    fn display_names_driver_version_and_operation_and_keeps_the_source_apart() {
        let error = RuntimeError::new(RuntimeErrorKind::Trap, "the driver trapped")
            .caused_by("unreachable")
            .of(&identity())
            .during(Operation::Start);
        assert_eq!(error.to_string(), "driver qemu 0.1.0, start: the driver trapped");
        assert_eq!(error.source().unwrap().to_string(), "unreachable");
    }

    #[test]
    fn problem_of_a_driver_is_limited_and_gives_the_code() {
        let problem = Problem {
            case: Case::Invalid,
            code: "qemu.machine-unknown".into(),
            message: "line one\nline two\u{1b}".into(),
            hints: vec!["x".repeat(10_000); 100],
            details: vec![("line".into(), "3".into()); 100],
        };
        let error = RuntimeError::from_problem(problem.limited());
        assert_eq!(error.code(), "qemu.machine-unknown");
        assert_eq!(error.message(), "line one line two\\u{1b}");
        assert_eq!((error.hints().len(), error.problem().unwrap().details.len()), (16, 32));
        assert!(error.hints()[0].len() <= limits::TEXT_BYTES + 3);
    }

    #[test]
    fn code_that_is_none_is_replaced() {
        for code in ["", "nodot", "Upper.case", "a..b", "a.b\n"] {
            let problem = Problem {
                case: Case::Other,
                code: code.into(),
                message: String::new(),
                hints: vec![],
                details: vec![],
            };
            assert_eq!(problem.limited().code, "driver.other", "{code:?}");
        }
    }
}
