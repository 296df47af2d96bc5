//! What the launcher tells a new shim, and what it hears back.

use std::collections::BTreeMap;
use std::os::fd::RawFd;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::cage::WallFailure;
use crate::cage::plan::CagePlan;
use crate::control_group::Seat;
use crate::plan::Reaction;
use crate::shim::kept::KeptFile;

/// Number of the first descriptor that a program inherits. Above what the shim itself ever opens before the
/// program starts, below the usual limit of 1,024 with [`crate::PROGRAM_FDS_MAX`] added.
pub(crate) const FIRST_PROGRAM_FD: RawFd = 512;

/// One start. Descriptors travel ahead of it: the run lock, the program's, its companions', the monitor's, the consoles'.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StartRequest {
    /// The run directory.
    pub(crate) run: PathBuf,
    pub(crate) domain_name: String,
    /// The program and its arguments, final.
    pub(crate) argv: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    /// How many descriptors the program inherits.
    pub(crate) program_fds: usize,
    /// The program's helpers, in the order in which they are started, before it.
    #[serde(default)]
    pub(crate) companions: Vec<CompanionRequest>,
    pub(crate) monitor: bool,
    pub(crate) consoles: Vec<String>,
    pub(crate) reactions: Vec<Reaction>,
    /// The commands among them that write a file.
    pub(crate) kept: BTreeMap<String, KeptFile>,
    pub(crate) plan_hash: String,
    /// The cage around the program; nothing when it runs as the shim does.
    pub(crate) cage: Option<CagePlan>,
    /// The control group that all programs of the domain are started in, in each hierarchy; none where this host has no such.
    #[serde(default)]
    pub(crate) group: Vec<Seat>,
    /// Groups of this run that may be made while it goes on.
    #[serde(default)]
    pub(crate) later_groups: Vec<PathBuf>,
    /// Time until the monitor must have answered.
    pub(crate) deadline_ms: u64,
}

/// One companion of the program.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CompanionRequest {
    pub(crate) name: String,
    /// The name of its template.
    pub(crate) template: String,
    pub(crate) argv: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    /// How many descriptors it inherits.
    pub(crate) fds: usize,
    pub(crate) cage: Option<CagePlan>,
}

/// How it went.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StartAnswer {
    Ready,
    Failed {
        kind: StartFailure,
        message: String,
        /// The program's last words: untrusted.
        tail: String,
    },
    /// The cage could not be built, so nothing was started.
    NoCage(WallFailure),
}

/// Why a start failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StartFailure {
    /// The program ended, or its monitor spoke something else.
    Hypervisor,
    /// The deadline passed.
    TimedOut,
    /// The shim itself.
    Shim,
}
