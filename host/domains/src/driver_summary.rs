//! What the verbs of drivers answer, as plain data for whoever shows it.

use std::path::PathBuf;

use serde::Serialize;

/// Where a driver comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DriverOrigin {
    /// It was installed, and is kept in the state directory.
    Installed,
    /// It lies in a driver directory.
    Directory,
}

impl DriverOrigin {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Installed => "installed",
            Self::Directory => "directory",
        }
    }
}

/// One driver.
#[derive(Clone, Debug, Serialize)]
pub struct DriverSummary {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The version of the contract it was built for.
    pub contract: String,
    /// The component's digest: `sha256:…`.
    pub digest: String,
    /// The component.
    pub path: PathBuf,
    /// Where it comes from.
    pub origin: DriverOrigin,
    /// Whether another driver of this name is used in its place.
    pub hidden: bool,
    /// Whether its digest is pinned.
    pub pinned: bool,
    /// Who signed it, by the policy's name; none when the policy names nobody.
    pub signer: Option<String>,
    /// The component's size in bytes.
    pub size: u64,
    /// For people; empty when it is hidden, for then nothing of it is run.
    pub title: String,
    /// The values of `domain/@type` that it takes.
    pub domain_types: Vec<String>,
    /// What it may do: `process:qemu-system-x86_64`.
    pub granted: Vec<String>,
    /// What it asked for and was not given, each with the reason.
    pub denied: Vec<String>,
    /// Optional interfaces it has.
    pub abilities: Vec<String>,
    /// Whether the compiled form came from the cache.
    pub cached: bool,
}

/// How a grant that a driver asks for stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GrantStanding {
    /// As a manifest writes it: `process:qemu-system-x86_64`.
    pub grant: String,
    /// Whether it is given.
    pub given: bool,
    /// Who gives or denies it.
    pub by: String,
    /// Why it is denied.
    pub reason: Option<String>,
    /// What would change that.
    pub remedy: Option<String>,
}

/// A grant, whether it is given, and whether it has been used.
#[derive(Clone, Debug, Serialize)]
pub struct GrantUse {
    /// How it stands.
    #[serde(flatten)]
    pub standing: GrantStanding,
    /// When it was first used, in milliseconds since 1970.
    pub first_used_unix_ms: Option<u64>,
}

/// Why a driver would be refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlanProblem {
    /// Stable dotted code.
    pub code: String,
    /// In one sentence.
    pub message: String,
    /// What to do about it.
    pub hints: Vec<String>,
}

/// What an installation takes the place of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Replaced {
    /// Its version.
    pub version: String,
    /// Its digest.
    pub digest: String,
    /// Where it comes from.
    pub origin: DriverOrigin,
    /// Its component.
    pub path: PathBuf,
}

/// The answer to every verb that changes which driver is used, or how.
#[derive(Clone, Debug, Serialize)]
pub struct DriverChanged {
    /// The driver's name.
    pub name: String,
    /// The version that is used now; none when there is none any more.
    pub version: Option<String>,
    /// Its digest.
    pub digest: Option<String>,
    /// The version that was used before.
    pub previous: Option<String>,
    /// Whether anything is other than before.
    pub changed: bool,
}

/// One build of a driver that is kept.
#[derive(Clone, Debug, Serialize)]
pub struct InstalledBuild {
    /// Its version.
    pub version: String,
    /// Its digest.
    pub digest: String,
    /// Its size in bytes.
    pub size: u64,
    /// What it was installed from.
    pub source: String,
    /// When, in milliseconds since 1970.
    pub installed_unix_ms: u64,
    /// Whether it is the one that is used.
    pub active: bool,
}

/// Everything about the drivers of one name.
#[derive(Clone, Debug, Serialize)]
pub struct DriverDetails {
    /// The one that is used.
    #[serde(flatten)]
    pub summary: DriverSummary,
    /// What it asks for, whether it is given, and whether it was used.
    pub grants: Vec<GrantUse>,
    /// The only digest that may be loaded.
    pub pin: Option<String>,
    /// Domain types that the operator has given to it although another driver takes them.
    pub takes: Vec<String>,
    /// The builds that are kept.
    pub versions: Vec<InstalledBuild>,
}

/// Whether a stored or found driver is what it should be.
#[derive(Clone, Debug, Serialize)]
pub struct Verified {
    /// The driver's name.
    pub name: String,
    /// Its version, as far as it is known.
    pub version: Option<String>,
    /// The digest that it should have, or has.
    pub digest: Option<String>,
    /// Where it comes from.
    pub origin: DriverOrigin,
    /// Its component.
    pub path: PathBuf,
    /// Whether it is the one that is used.
    pub active: bool,
    /// Who signed it, by the policy's name.
    pub signer: Option<String>,
    /// Why it would be refused; none when it is good.
    pub problem: Option<PlanProblem>,
}
