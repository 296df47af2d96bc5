//! The cage around a program: private namespaces, an empty root with its declared closure, an identity of its
//! own, limits, Landlock and seccomp. One file for each wall.
//!
//! `plan` reads what a launch needs from the template; the shim starts `stage`, a process of its own and of
//! one thread, which builds the walls around itself, starts the program inside and goes.

pub mod cell;
pub(crate) mod closure;
pub(crate) mod elf;
pub(crate) mod identity;
pub(crate) mod landlock;
pub(crate) mod limits;
pub(crate) mod mapped;
pub(crate) mod namespaces;
pub(crate) mod plan;
pub mod posture;
pub mod probe;
pub mod room;
pub(crate) mod root;
pub(crate) mod rule;
pub(crate) mod seccomp;
pub(crate) mod server;
pub(crate) mod stage;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How strictly programs are confined. What is asked for is built, or nothing is started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CageSetting {
    /// Every wall, or no start.
    #[default]
    Require,
    /// Every wall but Landlock, for kernels without it.
    WithoutLandlock,
    /// No walls: the program runs as the user who starts it, in the host's namespaces.
    Off,
}

impl CageSetting {
    /// The words that operators write, in order of strictness.
    pub const WORDS: [&'static str; 3] = ["require", "without-landlock", "off"];

    /// The word that operators write.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Require => "require",
            Self::WithoutLandlock => "without-landlock",
            Self::Off => "off",
        }
    }
}

impl FromStr for CageSetting {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let all = [Self::Require, Self::WithoutLandlock, Self::Off];
        all.into_iter().find(|setting| setting.word() == word).ok_or_else(|| {
            format!(
                "'{}' is no setting of the cage: it is one of {}",
                word.escape_debug(),
                Self::WORDS.join(", ")
            )
        })
    }
}

/// One wall of the cage, in the order in which they are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wall {
    /// Mount, process, network, user, IPC, host name and cgroup namespaces.
    Namespaces,
    /// An empty root with read-only binds.
    Root,
    /// Resource limits.
    Limits,
    /// A user of its own and no capability.
    Identity,
    /// Landlock.
    Landlock,
    /// System calls that are refused.
    Seccomp,
    /// Not a wall: the start of the program within.
    Program,
}

impl Wall {
    /// All walls, in the order in which they are built.
    pub const ALL: [Self; 6] =
        [Self::Namespaces, Self::Root, Self::Limits, Self::Identity, Self::Landlock, Self::Seccomp];

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Namespaces => "namespaces",
            Self::Root => "root",
            Self::Limits => "limits",
            Self::Identity => "identity",
            Self::Landlock => "landlock",
            Self::Seccomp => "seccomp",
            Self::Program => "program",
        }
    }

    /// What it is, in a few words.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Namespaces => "private namespaces",
            Self::Root => "empty root",
            Self::Limits => "resource limits",
            Self::Identity => "user of its own, no capabilities",
            Self::Landlock => "Landlock",
            Self::Seccomp => "filter of system calls",
            Self::Program => "start of the program",
        }
    }

    /// A failure of this wall.
    pub(crate) fn failed(self, what: impl Into<String>, error: impl fmt::Display) -> WallFailure {
        WallFailure { wall: self, message: format!("{}: {error}", what.into()), hint: None }
    }
}

/// Why a wall does not stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WallFailure {
    /// Which.
    pub wall: Wall,
    /// What was tried and what the system said.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl WallFailure {
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for WallFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.wall {
            Wall::Program => write!(f, "the program cannot be started in its cage: {}", self.message),
            wall => write!(f, "the cage cannot be built ({}): {}", wall.word(), self.message),
        }
    }
}

/// What stands around a running program; part of its record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CageReport {
    /// The user that it runs as, in the host's numbers.
    pub uid: u32,
    /// Version of Landlock that holds it; 0 for none.
    pub landlock_abi: u32,
    /// It was left in the host's network, because the document asks for what needs it.
    pub host_network: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_they_are_written_and_nothing_else_is() {
        for word in CageSetting::WORDS {
            assert_eq!(word.parse::<CageSetting>().unwrap().word(), word);
        }
        assert!("no".parse::<CageSetting>().unwrap_err().contains("without-landlock"));
        assert_eq!(CageSetting::default(), CageSetting::Require);
    }

    #[test]
    fn failure_says_which_wall_and_what_the_system_said() {
        let failure = Wall::Root.failed("mount", "no").hint("do");
        assert_eq!(failure.to_string(), "the cage cannot be built (root): mount: no");
        assert_eq!(failure.hint.as_deref(), Some("do"));
    }
}
