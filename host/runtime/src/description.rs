//! What a driver says: about itself, and about what a domain is doing.

use std::fmt;

use crate::bindings::driver::exports::hostler::driver::about;
use crate::bindings::wit::types::RunState as WitRunState;
use crate::limits;
use crate::text;

/// What a driver says about itself, its texts escaped and limited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// For people: `QEMU and KVM`.
    pub title: String,
    /// What else it states, as (key, value).
    pub facts: Vec<(String, String)>,
}

/// What a domain is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RunState {
    /// There is no hypervisor process for it.
    Off,
    /// The hypervisor runs, the guest has not executed an instruction yet.
    Starting,
    /// The guest's processors run.
    Running,
    /// The guest's processors are stopped and can be resumed.
    Paused,
    /// The guest has switched itself off; the hypervisor has not ended yet.
    ShuttingDown,
    /// The guest, or the hypervisor under it, failed.
    Crashed,
    /// The guest has put itself to sleep.
    Sleeping,
}

impl RunState {
    /// The contract's word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::ShuttingDown => "shutting-down",
            Self::Crashed => "crashed",
            Self::Sleeping => "sleeping",
        }
    }
}

impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<WitRunState> for RunState {
    fn from(state: WitRunState) -> Self {
        match state {
            WitRunState::Off => Self::Off,
            WitRunState::Starting => Self::Starting,
            WitRunState::Running => Self::Running,
            WitRunState::Paused => Self::Paused,
            WitRunState::ShuttingDown => Self::ShuttingDown,
            WitRunState::Crashed => Self::Crashed,
            WitRunState::Sleeping => Self::Sleeping,
        }
    }
}

impl From<about::Description> for Description {
    fn from(described: about::Description) -> Self {
        let short = |text: &str| text::sentence(text, limits::TEXT_BYTES);
        let facts = described.facts.iter().take(limits::FACTS);
        Self {
            title: short(&described.title),
            facts: facts.map(|fact| (short(&fact.key), short(&fact.value))).collect(),
        }
    }
}
