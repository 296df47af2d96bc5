//! `hostler shutdown`: asks the guest to switch itself off.

use std::time::Instant;

use clap::Args;
use hostler_domains::{AskedOff, DomainRef, DomainSummary, Error, Kind, RunState};
use serde_json::json;

use super::agent::Mode;
use super::view;
use crate::definition::{Seconds, seconds};
use crate::exit::Exit;
use crate::failure::{Failure, Stop};
use crate::output::table::{Cell, Table};
use crate::output::{Block, Reply};
use crate::session::Session;

/// Ask the guest of a domain to switch itself off
///
/// The command ends when the guest has been asked; with --wait, when the domain is off. With --all,
/// every guest is asked at once: a service of the package does so before the host goes down
/// (hostler-guests.service).
#[derive(Debug, Args)]
pub(crate) struct Shutdown {
    /// Name or UUID of the domain
    #[arg(value_name = "DOMAIN", required_unless_present = "all", conflicts_with = "all")]
    domain: Option<String>,
    /// Ask the guests of all domains
    #[arg(long)]
    all: bool,
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
        match self.domain.as_deref().map(DomainRef::new) {
            Some(domain) => self.one(session, &domain),
            None => self.every(session),
        }
    }

    fn one(&self, session: &Session, domain: &DomainRef) -> Result<Reply, Stop> {
        let progress = self
            .wait
            .map(|_| session.output().progress(&format!("waiting for '{domain}' to switch itself off")));
        let summary = session.block_on(async {
            let asked = session.owner().await?.shutdown(domain, self.mode.into()).await?;
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

    fn every(&self, session: &Session) -> Result<Reply, Stop> {
        let progress =
            self.wait.map(|_| session.output().progress("waiting for all guests to switch themselves off"));
        let until = self.wait.map(|wait| Instant::now() + wait.0);
        let done = session.block_on(async {
            let mut done = session.owner().await?.shutdown_all(self.mode.into()).await?;
            let Some(until) = until else { return Ok(done) };
            let reader = session.reader().await?;
            for one in done.iter_mut().filter(|one| one.summary.state.is_active()) {
                let same = DomainRef::new(one.summary.uuid.to_string());
                // One that could not be asked may be going all the same.
                let left = until.saturating_duration_since(Instant::now());
                match settled(one.summary.clone(), reader.wait_off(&same, left).await) {
                    Ok(summary) => *one = AskedOff { summary, code: None, problem: None },
                    Err(error) if error.kind == Kind::TimedOut => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(done)
        });
        drop(progress);
        let done = done?;
        let remaining: Vec<_> = done.iter().filter(|one| is_left(one, until.is_some())).collect();
        if !remaining.is_empty() {
            return Err(left(&remaining, done.len()).into());
        }
        if done.is_empty() {
            session.output().note("no domain runs");
        }
        Ok(Reply::data(json!({"domains": view::to_json(&done)?}), vec![Block::Table(table(&done))]))
    }
}

/// Whether a guest was not asked, or has not done so in the time that it had.
fn is_left(one: &AskedOff, waited: bool) -> bool {
    one.problem.is_some() || (waited && one.summary.state.is_active())
}

/// That guests go on which were not to.
fn left(remaining: &[&AskedOff], of: usize) -> Failure {
    let asked = remaining.iter().all(|one| one.problem.is_none());
    let exit = if asked { Exit::TimedOut } else { Exit::Failed };
    let told = remaining.iter().map(|one| match &one.problem {
        Some(problem) => format!("'{}' ({problem})", one.summary.name),
        None => format!("'{}'", one.summary.name),
    });
    let told = told.collect::<Vec<_>>().join(", ");
    let message = format!("{} of {of} guests have not switched themselves off: {told}", remaining.len());
    let first = remaining.first().map(|one| hostler_image::shell_quote(&one.summary.name));
    Failure::new("shutdown.left", exit, message).hint(
        "end one at once, which it takes like a power cut",
        first.map(|name| format!("hostler destroy {name}")),
    )
}

fn table(done: &[AskedOff]) -> Table {
    let mut table = Table::new().words("NAME").words("STATE");
    for one in done {
        table.row(vec![Cell::new(&one.summary.name), view::state(one.summary.state)]);
    }
    table
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
    fn what_goes_on_is_named_with_the_reason() {
        let one = |name: &str, state, problem: Option<&str>| AskedOff {
            summary: samples::summary(name, state),
            code: problem.map(|_| "x".to_owned()),
            problem: problem.map(str::to_owned),
        };
        let all = [
            one("a", RunState::Off, None),
            one("b", RunState::Running, None),
            one("c", RunState::Paused, Some("it is paused")),
        ];
        let left_of = |waited| {
            all.iter()
                .filter(|one| is_left(one, waited))
                .map(|one| one.summary.name.as_str())
                .collect::<Vec<_>>()
        };
        assert_eq!((left_of(false), left_of(true)), (vec!["c"], vec!["b", "c"]));
        let told = left(&[&all[1], &all[2]], 3).to_json();
        let message = "2 of 3 guests have not switched themselves off: 'b', 'c' (it is paused)";
        assert_eq!(told["message"], message, "{told}");
    }

    #[test]
    fn domain_that_was_forgotten_meanwhile_is_off() {
        let failed =
            |kind| settled(samples::summary("web", RunState::Running), Err(Error::new(kind, "x", "y")));
        let off = failed(Kind::NotFound).unwrap();
        assert_eq!((off.state, off.pid), (RunState::Off, None));
        assert_eq!(failed(Kind::TimedOut).unwrap_err().kind, Kind::TimedOut);
    }
}
