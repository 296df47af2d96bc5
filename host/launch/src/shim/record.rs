//! What a shim leaves on disk: what it started, and how that ended.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cage::CageReport;
use crate::process;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// With this exit status.
    Exited(u32),
    /// By this signal.
    Killed(u32),
    /// It is gone, and nobody saw how.
    Unknown,
}

/// `process.json`: enough to know both processes again, also after their numbers were given to others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessRecord {
    /// The boot that the numbers below belong to.
    pub boot_id: String,
    /// The shim.
    pub shim: ProcessIdentity,
    /// The hypervisor.
    pub program: ProcessIdentity,
    /// When the hypervisor was started, in milliseconds since 1970.
    pub started_unix_ms: u64,
    /// The hash of the frozen plan it was started from.
    pub plan_hash: String,
    /// What confines the hypervisor; nothing when it is not caged.
    #[serde(default)]
    pub cage: Option<CageReport>,
    /// The hypervisor's helpers.
    #[serde(default)]
    pub companions: Vec<CompanionRecord>,
}

/// A helper of the hypervisor, as it was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompanionRecord {
    /// Its name in the launch: `tpm0`.
    pub name: String,
    /// The template that it was started by: `swtpm`.
    pub template: String,
    /// The process.
    pub process: ProcessIdentity,
    /// What confines it; nothing when it is not caged.
    pub cage: Option<CageReport>,
}

impl CompanionRecord {
    /// Whether it still runs.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.process.lives()
    }
}

/// A process number with the time the kernel gave it out: together they are never used again in one boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// The process number.
    pub pid: u32,
    /// Start time in clock ticks since boot (field 22 of `/proc/<pid>/stat`).
    pub start_ticks: u64,
}

impl ProcessIdentity {
    /// Whether this process is still there.
    #[must_use]
    pub fn lives(self) -> bool {
        process::identify(self.pid).is_ok_and(|found| found == self)
    }
}

/// Why a hypervisor is no longer there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopReason {
    /// The guest shut itself down.
    Shutdown,
    /// Somebody ended it through hostler or its monitor.
    Destroyed,
    /// It ended by itself, or was killed from outside.
    Crashed,
    /// It never got as far as answering.
    Failed,
    /// Its guest was put away into a file. Written by the owner.
    Saved,
    /// Its guest goes on in another state directory. Written by the owner.
    Migrated,
}

impl StopReason {
    /// The word used in records and events.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Shutdown => "shutdown",
            Self::Destroyed => "destroyed",
            Self::Crashed => "crashed",
            Self::Failed => "failed",
            Self::Saved => "saved",
            Self::Migrated => "migrated",
        }
    }
}

/// `exit.json`: the shim's last word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// How the hypervisor ended.
    pub ending: Ending,
    /// Why.
    pub reason: StopReason,
    /// The data of the hypervisor's last `SHUTDOWN` event: untrusted.
    pub shutdown: Option<Value>,
    /// When, in milliseconds since 1970.
    pub ended_unix_ms: u64,
    /// The last of what it wrote to its error output: untrusted. Records of earlier versions do not have it.
    #[serde(default)]
    pub tail: String,
}
