//! One demand on a driver.

use serde::Serialize;

use crate::bench::Bench;
use crate::text;

/// One demand on a driver: its name, what it demands, and why.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Case {
    /// Its name: a group and what is looked at, as in `check.idempotent`.
    pub name: &'static str,
    /// What it demands, in a sentence.
    pub demands: &'static str,
    /// Why a host needs that.
    pub why: &'static str,
    /// What has to be there for it to be run.
    #[serde(skip)]
    pub(crate) needs: Needs,
    /// Tries it.
    #[serde(skip)]
    pub(crate) run: fn(&Bench<'_>) -> Result<(), Finding>,
}

/// What has to be there for a case to be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// The file.
    Component,
    /// A driver that the host has loaded.
    Driver,
}

/// What keeps a case from passing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// The driver does not do what is demanded.
    Failed(Fault),
    /// It could not be tried, and this is why.
    Skipped(String),
}

/// A demand that a driver does not meet: what was asked, expected and seen. Text of the driver is escaped and cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// What was asked.
    pub asked: String,
    /// What was expected.
    pub expected: String,
    /// What came.
    pub came: String,
}

/// The finding that a driver does something else than was expected.
pub(crate) fn fault(asked: &str, expected: &str, came: &str) -> Finding {
    Finding::Failed(Fault {
        asked: text::shown(asked),
        expected: text::shown(expected),
        came: text::shown(came),
    })
}

/// The finding that a case could not be tried.
pub(crate) fn skipped(why: impl Into<String>) -> Finding {
    Finding::Skipped(why.into())
}
