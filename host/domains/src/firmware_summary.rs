//! What verbs answer about firmware and variable stores.

use std::path::PathBuf;

use serde::Serialize;

/// The firmware that is described on this host.
#[derive(Clone, Debug, Serialize)]
pub struct FirmwareList {
    /// The directories that are searched, least important first.
    pub directories: Vec<PathBuf>,
    /// Every descriptor file: those that count in the order in which they are tried, each after those that it hides.
    pub descriptors: Vec<DescriptorSummary>,
}

/// One descriptor file.
#[derive(Clone, Debug, Default, Serialize)]
pub struct DescriptorSummary {
    /// Its name, by which one file takes another's place.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Whether it counts.
    pub standing: DescriptorStanding,
    /// The file in its place, when it is hidden or masked.
    pub hidden_by: Option<PathBuf>,
    /// Why it cannot be used, when it is invalid.
    pub problem: Option<String>,
    /// What it says about itself, for people.
    pub description: String,
    /// Interfaces that it offers: `uefi`, `bios`.
    pub interfaces: Vec<String>,
    /// How it is put into a machine: `flash`, `rom`, `kernel`.
    pub attachment: String,
    /// How code and variables are spread over flash devices: `split`, `combined`, `stateless`.
    pub mode: Option<String>,
    /// The code.
    pub code: Option<PathBuf>,
    /// Its image format.
    pub code_format: Option<String>,
    /// The template of the variable store.
    pub template: Option<PathBuf>,
    /// Its image format.
    pub template_format: Option<String>,
    /// Architectures and patterns of machines that it runs on: `x86_64:pc-q35-*`.
    pub targets: Vec<String>,
    /// What it offers: `secure-boot`, `enrolled-keys`.
    pub features: Vec<String>,
    /// What a machine must have for it: `smm`.
    pub needs: Vec<String>,
}

/// Whether a descriptor counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DescriptorStanding {
    /// It is tried.
    #[default]
    Used,
    /// One of its name in a more important directory takes its place.
    Hidden,
    /// An empty file of its name takes it away.
    Masked,
    /// It cannot be read or understood.
    Invalid,
}

impl DescriptorStanding {
    /// The lower-case word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::Hidden => "hidden",
            Self::Masked => "masked",
            Self::Invalid => "invalid",
        }
    }
}

/// How a domain comes to its firmware.
#[derive(Clone, Debug, Serialize)]
pub struct FirmwareExplanation {
    /// The domain's name.
    pub name: String,
    /// Who chooses.
    pub chosen_by: ChosenBy,
    /// What is asked for, in words: `UEFI`, `secure-boot`, `no enrolled-keys`.
    pub wishes: Vec<String>,
    /// The firmware that the domain has, or would have.
    pub firmware: Option<FirmwareInUse>,
    /// Why there is none, where one is wanted.
    pub problem: Option<String>,
    /// What to do about that.
    pub hints: Vec<String>,
    /// Every descriptor that counts, in the order in which they are tried.
    pub descriptors: Vec<ConsideredDescriptor>,
}

/// Who chooses a domain's firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChosenBy {
    /// The host, when the domain was defined; the choice is in its definition.
    Definition,
    /// The host, among what is installed now.
    Host,
    /// The document names the code.
    Document,
    /// Nobody: the machine brings its own.
    Machine,
}

/// The firmware of one domain.
#[derive(Clone, Debug, Serialize)]
pub struct FirmwareInUse {
    /// How it is attached: `flash`, `rom`.
    pub attachment: &'static str,
    /// The code.
    pub code: PathBuf,
    /// Its image format.
    pub code_format: &'static str,
    /// Whether the file is there.
    pub code_exists: bool,
    /// The descriptor that it is of, where one is installed.
    pub descriptor: Option<PathBuf>,
    /// Whether it can enforce secure boot, where its descriptor says.
    pub secure_boot: Option<bool>,
    /// Whether its template has keys enrolled, where its descriptor says.
    pub enrolled_keys: Option<bool>,
    /// Whether the machine must have system management mode.
    pub needs_smm: bool,
    /// The variable store; none for a ROM and for stateless firmware.
    pub variable_store: Option<StoreInUse>,
}

/// The variable store of one domain, made or not.
#[derive(Clone, Debug, Serialize)]
pub struct StoreInUse {
    /// Where it is.
    pub path: PathBuf,
    /// Its image format.
    pub format: &'static str,
    /// Whether it is there already.
    pub exists: bool,
    /// What it is made from.
    pub template: Option<PathBuf>,
    /// The template's image format.
    pub template_format: Option<&'static str>,
    /// Whether the template is there.
    pub template_exists: bool,
}

/// One descriptor, seen with the eyes of a domain.
#[derive(Clone, Debug, Serialize)]
pub struct ConsideredDescriptor {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// `chosen`, `fits` or `passed-over`.
    pub verdict: &'static str,
    /// Why, in words that follow its name.
    pub reason: String,
}

/// Firmware that was chosen for a domain when it was defined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FirmwareChoice {
    /// The descriptor that it is of.
    pub descriptor: PathBuf,
    /// The code.
    pub code: PathBuf,
    /// The descriptors that came before, and why each was passed over.
    pub passed_over: Vec<PassedOverDescriptor>,
}

/// A descriptor that was not chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PassedOverDescriptor {
    /// Where it is.
    pub path: PathBuf,
    /// Why, in words that follow its name.
    pub reason: String,
}

/// The variable store of a domain that was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoreReport {
    /// Where it is.
    pub path: PathBuf,
    /// Its image format.
    pub format: &'static str,
    /// What was done with it.
    pub done: StoreDone,
}

/// What a start did with a variable store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoreDone {
    /// It is as it was.
    Kept,
    /// It was made from its template.
    Created,
    /// It was made anew from its template, because that was asked for.
    Reset,
}

/// What becomes of a variable store when its domain is forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoreFate {
    /// It stays, and a domain with the same identifier has it again.
    #[default]
    Keep,
    /// It goes with the definition.
    Delete,
    /// It is put away under a name of its own, which no domain takes up.
    Archive,
}

/// What became of a variable store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoreLeft {
    /// What was done.
    pub fate: StoreFate,
    /// Where it is, or was.
    pub path: PathBuf,
}
