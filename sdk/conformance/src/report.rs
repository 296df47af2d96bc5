//! What came of the cases.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::case::{Case, Fault};

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// The driver does what the case demands.
    Passed,
    /// It does not.
    Failed {
        /// What was asked, expected and seen.
        fault: Fault,
    },
    /// Nobody knows: it could not be tried.
    Skipped {
        /// Why not.
        reason: String,
    },
}

/// What came of one case.
#[derive(Clone, Debug, Serialize)]
pub struct CaseReport {
    /// The case.
    #[serde(flatten)]
    pub case: &'static Case,
    /// How it ended.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// How long it took; milliseconds when it is written out.
    #[serde(rename = "ms", serialize_with = "milliseconds")]
    pub took: Duration,
}

/// What came of all cases that were run, in their order.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The cases.
    pub cases: Vec<CaseReport>,
}

impl Report {
    /// How many passed.
    #[must_use]
    pub fn passed(&self) -> usize {
        self.count(|verdict| matches!(verdict, Verdict::Passed))
    }

    /// How many failed.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.count(|verdict| matches!(verdict, Verdict::Failed { .. }))
    }

    /// How many could not be tried.
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.count(|verdict| matches!(verdict, Verdict::Skipped { .. }))
    }

    fn count(&self, wanted: impl Fn(&Verdict) -> bool) -> usize {
        self.cases.iter().filter(|case| wanted(&case.verdict)).count()
    }
}

fn milliseconds<S: Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(took.as_millis()).unwrap_or(u64::MAX))
}
