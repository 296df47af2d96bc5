//! The errors of this crate: each a small kind with a stable code, what and where, and what to do next.

use std::error::Error as StdError;
use std::fmt;

type Source = Box<dyn StdError + Send + Sync>;

/// What went wrong with a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LaunchErrorKind {
    /// The operator's policy for the program refuses an option, a value, a variable or a command.
    Denied,
    /// The plan contradicts itself: an index without a handle, a value too deep, a monitor named twice.
    PlanInvalid,
    /// There is no template of this name.
    TemplateUnknown,
    /// A template file cannot be read or does not say what a template says.
    TemplateInvalid,
    /// None of the template's programs is installed.
    ProgramMissing,
    /// The domain runs already: its run lock is held.
    Busy,
    /// The shim could not be started, or broke off.
    ShimFailed,
    /// The hypervisor ended before its monitor answered.
    HypervisorFailed,
    /// The monitor did not answer within the deadline; the hypervisor was ended.
    TimedOut,
    /// The cage around the program cannot be built here, or what belongs in it is missing.
    CageFailed,
    /// A limit of the document cannot be kept here: no such controller, or a value that the kernel does not take.
    LimitFailed,
    /// The operating system refused a call.
    Io,
}

impl LaunchErrorKind {
    /// The stable dotted code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Denied => "launch.denied",
            Self::PlanInvalid => "launch.plan-invalid",
            Self::TemplateUnknown => "launch.template-unknown",
            Self::TemplateInvalid => "launch.template-invalid",
            Self::ProgramMissing => "launch.program-missing",
            Self::Busy => "launch.busy",
            Self::ShimFailed => "launch.shim-failed",
            Self::HypervisorFailed => "launch.hypervisor-failed",
            Self::TimedOut => "launch.timed-out",
            Self::CageFailed => "launch.cage-failed",
            Self::LimitFailed => "launch.limit-failed",
            Self::Io => "launch.io",
        }
    }

    /// Every kind, for documentation and tests.
    pub const ALL: [Self; 12] = [
        Self::Denied,
        Self::PlanInvalid,
        Self::TemplateUnknown,
        Self::TemplateInvalid,
        Self::ProgramMissing,
        Self::Busy,
        Self::ShimFailed,
        Self::HypervisorFailed,
        Self::TimedOut,
        Self::CageFailed,
        Self::LimitFailed,
        Self::Io,
    ];
}

/// A launch that did not happen. `Display` says what and where; the cause is the source.
#[derive(Debug)]
pub struct LaunchError {
    /// What went wrong.
    pub kind: LaunchErrorKind,
    /// Where in the plan: `blockdev.filename`, `environment.LD_PRELOAD`, a command's name; may be empty.
    pub option: String,
    /// The rule that refused, in words; empty when no rule did.
    pub rule: String,
    /// What to do next, most useful first; may be empty.
    pub hints: Vec<String>,
    message: String,
    source: Option<Source>,
}

impl LaunchError {
    pub(crate) fn new(kind: LaunchErrorKind, message: impl Into<String>) -> Self {
        let (option, rule) = (String::new(), String::new());
        Self { kind, option, rule, hints: Vec::new(), message: message.into(), source: None }
    }

    /// A refusal by `rule` at `option`.
    pub(crate) fn denied(option: impl Into<String>, rule: impl Into<String>) -> Self {
        let mut error = Self::new(LaunchErrorKind::Denied, "the program's policy refuses this");
        (error.option, error.rule) = (option.into(), rule.into());
        error
    }

    pub(crate) fn io(what: impl Into<String>, source: impl Into<Source>) -> Self {
        Self::new(LaunchErrorKind::Io, what).caused_by(source)
    }

    pub(crate) fn caused_by(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }

    pub(crate) fn at(mut self, option: impl Into<String>) -> Self {
        self.option = option.into();
        self
    }

    /// Says which of a launch's companions it is about.
    pub(crate) fn of_companion(mut self, name: &str) -> Self {
        self.message = format!("the companion '{name}': {}", self.message);
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The stable dotted code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }
}

impl fmt::Display for LaunchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if !self.option.is_empty() {
            write!(f, " at '{}'", self.option)?;
        }
        if !self.rule.is_empty() {
            write!(f, ": {}", self.rule)?;
        }
        Ok(())
    }
}

impl StdError for LaunchError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as _)
    }
}

/// What went wrong between a client and a shim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ShimErrorKind {
    /// Nothing runs: the run lock is free.
    NotRunning,
    /// The hypervisor runs and its shim is gone: it can be ended ([`crate::end_orphan`]), not talked to.
    Orphaned,
    /// No answer in time.
    TimedOut,
    /// The connection ended in the middle of a call.
    Closed,
    /// The other side did not keep to the protocol.
    Protocol,
    /// There is no console of this alias, or it has as many clients as it may have.
    Console,
    /// There is no display of this alias that takes connections.
    Display,
    /// Events after the cursor are gone from the ring.
    EventsLost,
    /// The process is not the one that was recorded, so it was left alone.
    NotOurs,
    /// The operating system refused a call.
    Io,
}

impl ShimErrorKind {
    /// The stable dotted code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::NotRunning => "shim.not-running",
            Self::Orphaned => "shim.orphaned",
            Self::TimedOut => "shim.timed-out",
            Self::Closed => "shim.closed",
            Self::Protocol => "shim.protocol",
            Self::Console => "shim.console",
            Self::Display => "shim.display",
            Self::EventsLost => "qmp.events-lost",
            Self::NotOurs => "shim.not-ours",
            Self::Io => "shim.io",
        }
    }
}

/// A call to a shim that failed.
#[derive(Debug)]
pub struct ShimError {
    /// What went wrong.
    pub kind: ShimErrorKind,
    /// What to do next, most useful first; may be empty.
    pub hints: Vec<String>,
    message: String,
    source: Option<Source>,
}

impl ShimError {
    pub(crate) fn new(kind: ShimErrorKind, message: impl Into<String>) -> Self {
        Self { kind, hints: Vec::new(), message: message.into(), source: None }
    }

    pub(crate) fn io(what: impl Into<String>, source: impl Into<Source>) -> Self {
        Self { source: Some(source.into()), ..Self::new(ShimErrorKind::Io, what) }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The stable dotted code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }
}

impl fmt::Display for ShimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for ShimError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as _)
    }
}

/// What went wrong with one QMP command.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QmpErrorKind {
    /// The hypervisor refused, with this class (`GenericError`, `CommandNotFound` …).
    Hypervisor {
        /// The hypervisor's class, untrusted text.
        class: String,
    },
    /// The command policy refuses.
    Denied,
    /// No answer in time. The command may still take effect.
    TimedOut,
    /// The hypervisor has ended, or its shim is gone.
    Closed,
    /// The hypervisor's answer breaks the protocol or a limit.
    Protocol,
}

/// A QMP command that failed. Text from the hypervisor is untrusted.
#[derive(Debug)]
pub struct QmpError {
    /// What went wrong.
    pub kind: QmpErrorKind,
    /// What was said about it, by the hypervisor or by the host.
    pub message: String,
    /// What to do next, most useful first; may be empty.
    pub hints: Vec<String>,
    source: Option<Source>,
}

impl QmpError {
    pub(crate) fn new(kind: QmpErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hints: Vec::new(), source: None }
    }

    /// The stable dotted code: `qmp.hypervisor`, `qmp.denied`, `qmp.timed-out`, `qmp.closed`, `qmp.protocol`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.kind {
            QmpErrorKind::Hypervisor { .. } => "qmp.hypervisor",
            QmpErrorKind::Denied => "qmp.denied",
            QmpErrorKind::TimedOut => "qmp.timed-out",
            QmpErrorKind::Closed => "qmp.closed",
            QmpErrorKind::Protocol => "qmp.protocol",
        }
    }
}

impl From<ShimError> for QmpError {
    fn from(error: ShimError) -> Self {
        let kind = match error.kind {
            ShimErrorKind::TimedOut => QmpErrorKind::TimedOut,
            ShimErrorKind::Protocol => QmpErrorKind::Protocol,
            _ => QmpErrorKind::Closed,
        };
        let (message, hints) = (error.to_string(), error.hints.clone());
        Self { kind, message, hints, source: Some(error.into()) }
    }
}

impl fmt::Display for QmpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            QmpErrorKind::Hypervisor { class } => {
                write!(f, "the hypervisor refused ({class}): {}", self.message)
            }
            _ => f.write_str(&self.message),
        }
    }
}

impl StdError for QmpError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as _)
    }
}
