//! What the cases need of whoever runs them: a driver behind a host.

use std::collections::BTreeSet;
use std::fmt;

/// A host with one driver. Every call is carried out by an instance of the driver that was made for it.
pub trait Runner {
    /// What the driver's file says of itself, without any of it being run.
    fn component(&self) -> &Component;

    /// Why the host does not load the driver; nothing when it has.
    fn refused(&self) -> Option<&str>;

    /// `about.describe`: the title and the facts, as text.
    ///
    /// # Errors
    /// What the driver or the host says.
    fn describe(&self) -> Result<Answer, Failure>;

    /// One operation on one domain. [`Operation::Reattach`] is carried out by the driver loaded anew, as after a
    /// restart of the host.
    ///
    /// # Errors
    /// What the driver or the host says.
    fn call(&self, subject: &Subject, operation: &Operation) -> Result<Answer, Failure>;

    /// Several operations at the same time; the answers are in the order of the calls.
    fn call_together(&self, calls: &[(Subject, Operation)]) -> Vec<Result<Answer, Failure>>;

    /// `lifecycle.recovery-complete`.
    ///
    /// # Errors
    /// What the driver or the host says.
    fn recovery_complete(&self) -> Result<(), Failure>;

    /// What the host itself sees of a domain.
    ///
    /// # Errors
    /// What keeps the host from looking.
    fn traces(&self, subject: &Subject) -> Result<Traces, Failure>;

    /// What the driver has asked of the host since this was last called, by the contract's names: `domain.launch`.
    fn host_calls(&self) -> BTreeSet<String>;

    /// Kills the hypervisor of a domain behind the driver's back, and waits for its end. False when there is none:
    /// the driver does not start processes.
    ///
    /// # Errors
    /// What keeps the host from it.
    fn lose_hypervisor(&self, subject: &Subject) -> Result<bool, Failure>;

    /// Ends and forgets whatever is left of a domain, without asking the driver.
    ///
    /// # Errors
    /// What keeps the host from it.
    fn clear(&self, subject: &Subject) -> Result<(), Failure>;
}

/// A driver's file as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Component {
    /// Its size, in bytes.
    pub size: u64,
    /// The largest size that the host takes, in bytes.
    pub size_limit: u64,
    /// Its name; nothing when it has no manifest that can be read.
    pub name: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// The contract it needs.
    pub contract: Option<String>,
    /// The contract that the host offers.
    pub contract_offered: String,
    /// The values of `domain/@type` that it takes.
    pub domain_types: Vec<String>,
    /// What it asks for.
    pub grants: Vec<String>,
    /// What it imports.
    pub imports: Vec<String>,
    /// What it exports.
    pub exports: Vec<String>,
}

/// A domain, as a call is about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Its name.
    pub name: String,
    /// Its identifier: 8-4-4-4-12 hexadecimal digits.
    pub uuid: String,
    /// Its document.
    pub xml: String,
}

/// One operation on a domain, as the contract has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `check`
    Check,
    /// `start`
    Start {
        /// With the option `paused = yes`.
        paused: bool,
    },
    /// `shutdown`
    Shutdown,
    /// `destroy`
    Destroy,
    /// `suspend`
    Suspend,
    /// `resume`
    Resume,
    /// `reset`
    Reset,
    /// `query`
    Query,
    /// `reattach`
    Reattach,
    /// `on-event`
    OnEvent(Event),
    /// `native-config.show`
    Show,
    /// `statistics.read`
    Statistics,
}

/// Something a hypervisor said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its place in the order of events.
    pub cursor: u64,
    /// Its name.
    pub name: String,
    /// Its data: JSON text. A host passes on nothing else.
    pub data: String,
}

/// The answer to an operation that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is done.
    Done,
    /// A document, from `check`.
    Document(String),
    /// A run state, from `query` and `reattach`.
    State(RunState),
    /// A launch, from `show`.
    Launch(Launch),
    /// Counters with their values, from `statistics.read`.
    Counters(Vec<(String, String)>),
    /// A description, from `describe`: title first.
    Description(Vec<String>),
}

/// A launch that was shown and not started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// The program's template.
    pub template: String,
    /// The whole launch, as text that is the same for the same launch.
    pub text: String,
}

/// What a domain is doing, as the contract has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// `off`
    Off,
    /// `starting`
    Starting,
    /// `running`
    Running,
    /// `paused`
    Paused,
    /// `shutting-down`
    ShuttingDown,
    /// `crashed`
    Crashed,
    /// `sleeping`
    Sleeping,
}

/// What the host itself sees of a domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traces {
    /// The number of its hypervisor's process, if one runs.
    pub process: Option<u32>,
    /// What the driver has noted.
    pub notes: Vec<u8>,
    /// The kinds of the events that the driver has emitted, in order.
    pub events: Vec<String>,
}

/// An operation that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Whose turn it is.
    pub kind: FailureKind,
    /// The stable dotted code.
    pub code: String,
    /// The sentence.
    pub message: String,
    /// What else is known: `line`, `column`, `element`.
    pub details: Vec<(String, String)>,
}

/// Why an operation did not succeed: the driver's own answer, or what the host had to end it for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// Answered: the document or an argument is wrong.
    Invalid,
    /// Answered: it cannot be done here.
    Unsupported,
    /// Answered: not granted.
    Denied,
    /// Answered: the thing named does not exist.
    NotFound,
    /// Answered: not in this state.
    Conflict,
    /// Answered: a deadline passed.
    TimedOut,
    /// Answered: the hypervisor refused or failed.
    Hypervisor,
    /// Answered: the host failed.
    Host,
    /// Answered: anything else.
    Other,
    /// The driver's code trapped, or broke a rule of the contract.
    Trapped,
    /// The driver did not answer in time.
    Overtime,
    /// The driver wanted more memory than it may have.
    OverMemory,
    /// The driver called the host more often than it may.
    OverRate,
    /// The machine lacks the program that the driver asks for.
    ProgramMissing,
    /// The host could not carry it out, whatever the driver is like.
    Broken,
}

impl FailureKind {
    fn words(self) -> &'static str {
        match self {
            Self::Invalid => "error 'invalid'",
            Self::Unsupported => "error 'unsupported'",
            Self::Denied => "error 'denied'",
            Self::NotFound => "error 'not-found'",
            Self::Conflict => "error 'conflict'",
            Self::TimedOut => "error 'timed-out'",
            Self::Hypervisor => "error 'hypervisor'",
            Self::Host => "error 'host'",
            Self::Other => "error 'other'",
            Self::Trapped => "a trap",
            Self::Overtime => "no answer in time",
            Self::OverMemory => "more memory than it may have",
            Self::OverRate => "more host calls than it may make",
            Self::ProgramMissing => "a program that is not installed",
            Self::Broken => "the host failed",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.kind.words(), self.code, self.message)?;
        for (key, value) in &self.details {
            write!(f, "; {key}: {value}")?;
        }
        Ok(())
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::ShuttingDown => "shutting-down",
            Self::Crashed => "crashed",
            Self::Sleeping => "sleeping",
        })
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Check => f.write_str("check"),
            Self::Start { paused: false } => f.write_str("start"),
            Self::Start { paused: true } => f.write_str("start with paused=yes"),
            Self::Shutdown => f.write_str("shutdown"),
            Self::Destroy => f.write_str("destroy"),
            Self::Suspend => f.write_str("suspend"),
            Self::Resume => f.write_str("resume"),
            Self::Reset => f.write_str("reset"),
            Self::Query => f.write_str("query"),
            Self::Reattach => f.write_str("reattach, by the driver loaded anew"),
            Self::OnEvent(event) => write!(f, "on-event with {} at {}", event.name, event.cursor),
            Self::Show => f.write_str("native-config.show"),
            Self::Statistics => f.write_str("statistics.read"),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("success"),
            Self::Document(document) => write!(f, "the document {document}"),
            Self::State(state) => write!(f, "the state '{state}'"),
            Self::Launch(launch) => write!(f, "the launch {}", launch.text),
            Self::Counters(counters) => write!(f, "{} counters", counters.len()),
            Self::Description(texts) => write!(f, "the description {}", texts.join("; ")),
        }
    }
}
