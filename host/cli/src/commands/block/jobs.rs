//! `hostler block jobs`: work on disks that goes on.

use clap::Args;
use hostler_domains::{BlockJobState, BlockJobSummary, DomainRef};
use serde_json::json;

use crate::commands::view;
use crate::failure::Stop;
use crate::output::table::{Cell, Table};
use crate::output::{Block, Reply};
use crate::session::Session;

/// List the work on disks that goes on: how far it is, whose it is, since when
#[derive(Debug, Args)]
pub(super) struct Jobs {
    /// Only of this domain
    #[arg(value_name = "DOMAIN")]
    domain: Option<String>,
}

impl Jobs {
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let domain = self.domain.map(DomainRef::new);
        let jobs =
            session.block_on(async { Ok(session.reader().await?.block_jobs(domain.as_ref()).await?) })?;
        if jobs.is_empty() {
            session.output().note("nothing works on a disk");
        }
        Ok(Reply::data(json!({"jobs": view::to_json(&jobs)?}), vec![Block::Table(table(&jobs))]))
    }
}

fn table(jobs: &[BlockJobSummary]) -> Table {
    let mut table = Table::new()
        .words("DOMAIN")
        .words("DISK")
        .words("KIND")
        .words("STATE")
        .words("DONE")
        .words("AGE")
        .words("PROCESS")
        .prose("INTO")
        .prose("PROBLEM");
    for job in jobs {
        table.row(vec![
            Cell::new(&job.domain),
            Cell::new(&job.target),
            Cell::new(if job.active { "active commit" } else { job.kind.word() }),
            Cell::new(state(job.state)),
            Cell::new(share(job)),
            Cell::new(format!("{} s", job.age_ms / 1000)),
            Cell::new(job.owner.pid.to_string()),
            Cell::optional(job.into.as_ref().map(|path| path.to_string_lossy())),
            Cell::optional(job.error.as_deref()),
        ]);
    }
    table
}

fn state(state: BlockJobState) -> &'static str {
    match state {
        BlockJobState::None => "unknown",
        BlockJobState::Running => "running",
        BlockJobState::Ready => "ready",
        BlockJobState::Pending | BlockJobState::Done => "over",
        BlockJobState::Failed => "failed",
    }
}

fn share(job: &BlockJobSummary) -> String {
    let percent = u128::from(job.done) * 100;
    percent
        .checked_div(u128::from(job.total))
        .map_or_else(|| "-".to_owned(), |percent| format!("{percent} %"))
}
