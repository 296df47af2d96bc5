//! What verbs answer: domains, drivers, chains, findings, as plain data for whoever shows them.

use std::path::PathBuf;

use hostler_launch::CageReport;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::block_jobs::BlockJobSummary;
use crate::driver_summary::DriverSummary;
use crate::firmware_summary::{FirmwareChoice, StoreLeft, StoreReport};

/// What a domain is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// Nothing of it runs.
    Off,
    /// The hypervisor runs, the guest has not begun.
    Starting,
    /// The guest's processors run.
    Running,
    /// The guest's processors are stopped.
    Paused,
    /// The guest has switched itself off; the hypervisor has not ended yet.
    ShuttingDown,
    /// Guest or hypervisor failed.
    Crashed,
    /// The guest sleeps.
    Sleeping,
    /// A process of it lives that cannot be reached. It is never killed or started over by itself.
    Quarantined,
}

impl RunState {
    /// The lower-case word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::ShuttingDown => "shutting-down",
            Self::Crashed => "crashed",
            Self::Sleeping => "sleeping",
            Self::Quarantined => "quarantined",
        }
    }

    /// Whether something of it lives.
    #[must_use]
    pub fn is_active(self) -> bool {
        self != Self::Off
    }
}

impl From<hostler_runtime::RunState> for RunState {
    fn from(state: hostler_runtime::RunState) -> Self {
        use hostler_runtime::RunState as Told;
        match state {
            Told::Off => Self::Off,
            Told::Starting => Self::Starting,
            Told::Running => Self::Running,
            Told::Paused => Self::Paused,
            Told::ShuttingDown => Self::ShuttingDown,
            Told::Crashed => Self::Crashed,
            Told::Sleeping => Self::Sleeping,
        }
    }
}

/// One line about a domain.
#[derive(Clone, Debug, Serialize)]
pub struct DomainSummary {
    /// Its name.
    pub name: String,
    /// Its identifier.
    pub uuid: Uuid,
    /// What it is doing.
    pub state: RunState,
    /// Why it is doing that, where it is not plain: `quarantined: the shim is gone`.
    pub reason: Option<String>,
    /// When that was so, in milliseconds since 1970, if its hypervisor does not answer now.
    pub as_of_unix_ms: Option<u64>,
    /// Whether it stays defined when it is off.
    pub persistent: bool,
    /// Whether it is started after a boot of the machine.
    pub autostart: bool,
    /// The driver that runs it.
    pub driver: String,
    /// The hypervisor's process.
    pub pid: Option<u32>,
    /// When that process was started, in milliseconds since 1970.
    pub started_unix_ms: Option<u64>,
    /// Memory that the guest is given at most, in bytes.
    pub memory_bytes: u64,
    /// Memory that it has of that, in bytes.
    pub current_memory_bytes: u64,
    /// Processors that the guest is given at most.
    pub vcpus: u32,
    /// Processors that it has of those.
    pub current_vcpus: u32,
}

/// A guest that was put away.
#[derive(Clone, Debug, Serialize)]
pub struct SavedDomain {
    /// The domain, as it stands now.
    #[serde(flatten)]
    pub summary: DomainSummary,
    /// The file that the guest is in.
    pub path: PathBuf,
    /// The size of that file, in bytes.
    pub bytes: u64,
    /// Whether its processors will run when it is brought back.
    pub running: bool,
}

/// What confines a running hypervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confinement {
    /// Nothing but its user's rights: the operator wanted it so, or it was started by a version without a cage.
    None,
    /// A cage of this kind.
    Cage(CageReport),
}

/// Everything about a domain.
#[derive(Clone, Debug, Serialize)]
pub struct DomainDetails {
    /// The line about it.
    #[serde(flatten)]
    pub summary: DomainSummary,
    /// Title, as the document has it.
    pub title: Option<String>,
    /// Machine type, as the document has it.
    pub machine: Option<String>,
    /// How many times the definition was changed.
    pub generation: u64,
    /// When it was first defined, in milliseconds since 1970.
    pub created_unix_ms: u64,
    /// What confines its hypervisor, while this host runs one.
    pub confinement: Option<Confinement>,
    /// The programs that were started beside its hypervisor, while this host runs one.
    pub companions: Vec<CompanionSummary>,
    /// Its disks with their chains, as they are now.
    pub disks: Vec<DiskSummary>,
    /// Work on its disks that goes on, as it is recorded: no hypervisor is asked.
    pub jobs: Vec<BlockJobSummary>,
    /// Character devices that can be attached to: `serial0`.
    pub consoles: Vec<String>,
    /// The variable store, where there is one.
    pub variable_store: Option<PathBuf>,
    /// What was in the memory of its guests when they crashed, where the domain wants that kept; oldest first.
    pub crash_dumps: Vec<PathBuf>,
    /// Elements of the document that this version keeps and does not act on.
    pub unmodelled: Vec<String>,
}

/// A program beside a hypervisor.
#[derive(Clone, Debug, Serialize)]
pub struct CompanionSummary {
    /// Its name in the launch: `fs0`.
    pub name: String,
    /// The template that it was started by: `virtiofsd`.
    pub program: String,
    /// Its process number; nothing of one that has ended.
    pub pid: Option<u32>,
}

/// One disk.
#[derive(Clone, Debug, Serialize)]
pub struct DiskSummary {
    /// Its target name: `vda`.
    pub target: String,
    /// `disk`, `cdrom`, `floppy`, `lun`.
    pub device: String,
    /// The chain, or why it cannot be resolved; empty for an empty drive.
    pub chain: Result<Vec<LayerSummary>, String>,
}

/// One layer of a chain.
#[derive(Clone, Debug, Serialize)]
pub struct LayerSummary {
    /// Where it is.
    pub path: PathBuf,
    /// Its format.
    pub format: String,
    /// What the guest sees, in bytes.
    pub virtual_size: u64,
    /// What it takes on the disk, in bytes.
    pub allocated: u64,
    /// Whether it is opened for reading only.
    pub read_only: bool,
    /// What lies below, by index; none for nothing.
    pub below: Option<usize>,
    /// Marks such as `dirty`, `corrupt`, `encrypted`.
    pub flags: Vec<String>,
}

/// One chain of a disk that was resolved on the way.
#[derive(Clone, Debug, Serialize)]
pub struct DiskChain {
    /// The disk's target name; empty for an image looked at by itself.
    pub target: String,
    /// The layers, the active one first.
    pub layers: Vec<LayerSummary>,
}

/// What a definition says that this version does not act on.
#[derive(Clone, Debug, Serialize)]
pub struct Warning {
    /// In one sentence.
    pub message: String,
}

/// The answer to `define`.
#[derive(Clone, Debug, Serialize)]
pub struct Defined {
    /// The domain.
    pub summary: DomainSummary,
    /// Whether it is new; otherwise it replaced an older definition.
    pub created: bool,
    /// The firmware that was chosen for it, if that was left to the host.
    pub firmware: Option<FirmwareChoice>,
    /// What is kept and not acted on.
    pub warnings: Vec<Warning>,
}

/// The answer to `start` and `run`.
#[derive(Clone, Debug, Serialize)]
pub struct Started {
    /// The domain.
    pub summary: DomainSummary,
    /// What confines its hypervisor, when this host runs one.
    pub confinement: Option<Confinement>,
    /// The chains of its disks, as they were handed over.
    pub chains: Vec<DiskChain>,
    /// The driver that did it.
    pub driver: DriverSummary,
    /// The variable store and what was done with it; nothing when it has none.
    pub variable_store: Option<StoreReport>,
    /// What the operator should know of it.
    pub warnings: Vec<Warning>,
}

/// The answer to `undefine`.
#[derive(Clone, Debug, Serialize)]
pub struct Undefined {
    /// The domain's name.
    pub name: String,
    /// Its identifier.
    pub uuid: Uuid,
    /// What became of the variable store; nothing when there was none.
    pub variable_store: Option<StoreLeft>,
    /// Where the variable store is now, if it is kept or archived.
    pub kept_variable_store: Option<PathBuf>,
    /// Where that is which its helpers have kept, such as the state of its TPM; nothing when it is gone, or there was none.
    pub kept_state: Option<PathBuf>,
}

/// How a finding stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It works.
    Good,
    /// It works with a limit that is worth knowing.
    Limited,
    /// It does not work.
    Missing,
}

/// One thing that `doctor` looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// Stable name: `accelerator.kvm`.
    pub id: String,
    /// For people.
    pub title: String,
    /// How it stands.
    pub status: Status,
    /// What was found.
    pub detail: String,
    /// What to do about it.
    pub remedy: Option<String>,
}
