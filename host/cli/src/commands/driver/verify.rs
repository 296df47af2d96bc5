//! `hostler driver verify`: digests drivers anew and holds them against what was installed.

use clap::Args;
use hostler_domains::Verified;
use serde_json::json;

use crate::commands::view;
use crate::exit::Exit;
use crate::failure::Stop;
use crate::output::colour::Tone;
use crate::output::table::{Cell, Table};
use crate::output::{Block, Reply};
use crate::session::Session;

/// Digest drivers anew and hold them against what was installed, their signatures and the policy
///
/// Every version that is kept and every driver in a driver directory is looked at. Nothing of them is run.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// Name of the driver; all of them if not given
    #[arg(value_name = "DRIVER")]
    name: Option<String>,
}

impl Verify {
    /// Verifies; the exit status says whether any of them would be refused.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let name = self.name.as_deref();
        let verified = session.block_on(async { Ok(session.reader().await?.driver_verify(name).await?) })?;
        reply(&verified)
    }
}

fn reply(verified: &[Verified]) -> Result<Reply, Stop> {
    let mut blocks = vec![Block::Table(table(verified))];
    for found in verified {
        if let Some(problem) = &found.problem {
            blocks.push(Block::Heading(format!("{} ({})", found.name, found.path.display())));
            blocks.push(Block::Line(format!("  {}: {}", problem.code, problem.message)));
            blocks.extend(problem.hints.iter().map(|hint| Block::Line(format!("    {hint}"))));
        }
    }
    let refused = verified.iter().any(|found| found.problem.is_some());
    let exit = if refused { Exit::Refused } else { Exit::Success };
    Ok(Reply::data(json!({"drivers": view::to_json(&verified)?}), blocks).exit_with(exit))
}

fn table(verified: &[Verified]) -> Table {
    let mut table = Table::new()
        .words("NAME")
        .words("VERSION")
        .words("FROM")
        .words("IN USE")
        .words("SIGNER")
        .words("VERDICT")
        .prose("DIGEST");
    for found in verified {
        let verdict = match &found.problem {
            None => Cell::new("good").tone(Tone::Good),
            Some(_) => Cell::new("refused").tone(Tone::Bad),
        };
        table.row(vec![
            Cell::new(&found.name),
            Cell::optional(found.version.as_deref()),
            Cell::new(found.origin.word()),
            Cell::new(if found.active { "yes" } else { "no" }),
            Cell::optional(found.signer.as_deref()),
            verdict,
            Cell::optional(found.digest.as_deref()),
        ]);
    }
    table
}
