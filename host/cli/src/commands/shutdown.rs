//! `hostler shutdown`: asks the guest to switch itself off.

use clap::Args;
use hostler_domains::{DomainRef, DomainSummary, Error, Kind, RunState};

use super::agent::Mode;
use super::{Target, view};
use crate::definition::{Seconds, seconds};
use crate::failure::Stop;
use crate::output::Reply;
use crate::session::Session;

/// Ask the guest of a domain to switch itself off
///
/// The command ends when the guest has been asked; with --wait, when the domain is off.
#[derive(Debug, Args)]
pub(crate) struct Shutdown {
    #[command(flatten)]
    target: Target,
    /// Ask the guest as HOW says
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    mode: Mode,
    /// Wait until the domain is off, at most SECS seconds [default when given without a value: 120]
    #[arg(long, value_name = "SECS", value_parser = seconds, num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "120")]
    wait: Option<Seconds>,
}

impl Shutdown {
    /// Asks, and waits if that was wanted.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let progress = self.wait.map(|_| {
            session
                .output()
                .progress(&format!("waiting for '{}' to switch itself off", self.target.reference()))
        });
        let summary = session.block_on(async {
            let asked = session.owner().await?.shutdown(&self.target.reference(), self.mode.into()).await?;
            let Some(wait) = self.wait else { return Ok(asked) };
            // The owner is gone by here: a guest that takes its time keeps nobody else from working.
            if !asked.state.is_active() {
                return Ok(asked);
            }
            // By its identifier: its name may be another's by now.
            let same = DomainRef::new(asked.uuid.to_string());
            let waited = session.reader().await?.wait_off(&same, wait.0).await;
            Ok(settled(asked, waited)?)
        });
        drop(progress);
        view::changed(&summary?)
    }
}

/// How the domain stands after the wait. A transient one that another command has forgotten meanwhile is off.
fn settled(asked: DomainSummary, waited: Result<DomainSummary, Error>) -> Result<DomainSummary, Error> {
    match waited {
        Err(error) if error.kind == Kind::NotFound => {
            Ok(DomainSummary { state: RunState::Off, pid: None, started_unix_ms: None, ..asked })
        }
        waited => waited,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::view::samples;

    #[test]
    fn domain_that_was_forgotten_meanwhile_is_off() {
        let failed =
            |kind| settled(samples::summary("web", RunState::Running), Err(Error::new(kind, "x", "y")));
        let off = failed(Kind::NotFound).unwrap();
        assert_eq!((off.state, off.pid), (RunState::Off, None));
        assert_eq!(failed(Kind::TimedOut).unwrap_err().kind, Kind::TimedOut);
    }
}
