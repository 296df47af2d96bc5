//! `hostler driver show`: everything about the drivers of one name.

use clap::Args;
use hostler_domains::{DriverDetails, GrantUse};

use super::{DriverTarget, plan};
use crate::commands::view;
use crate::failure::Stop;
use crate::output::colour::Tone;
use crate::output::table::{Cell, Facts, Table};
use crate::output::{Block, Reply, quantity};
use crate::session::Session;

/// Show everything about a driver: what it is granted, what of that it has used, and the versions that are kept
#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    target: DriverTarget,
}

impl Show {
    /// Shows it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let name = &self.target.name;
        let details = session.block_on(async { Ok(session.reader().await?.driver_show(name).await?) })?;
        Ok(Reply::data(view::to_json(&details)?, blocks(&details)))
    }
}

fn blocks(details: &DriverDetails) -> Vec<Block> {
    let mut blocks = vec![Block::Facts(facts(details))];
    if !details.grants.is_empty() {
        blocks.push(Block::Heading("Grants".to_owned()));
        blocks.push(Block::Table(grants(&details.grants)));
    }
    if !details.versions.is_empty() {
        blocks.push(Block::Heading("Versions".to_owned()));
        blocks.push(Block::Table(versions(details)));
    }
    let unused: Vec<_> = details
        .grants
        .iter()
        .filter(|grant| grant.standing.given && grant.first_used_unix_ms.is_none())
        .map(|grant| grant.standing.grant.as_str())
        .collect();
    if !unused.is_empty() {
        let advice = format!("  Given and not used so far: {}. It may need less.", unused.join(", "));
        blocks.extend([Block::Line(String::new()), Block::Line(advice)]);
    }
    blocks
}

fn facts(details: &DriverDetails) -> Facts {
    let mut facts = view::driver(&details.summary);
    facts.add("from", details.summary.origin.word());
    facts.add("signed by", details.summary.signer.as_deref().unwrap_or("nobody whom the policy names"));
    facts.add("pinned", details.pin.as_deref().unwrap_or("no"));
    if !details.takes.is_empty() {
        facts.add("takes over", details.takes.join(", "));
    }
    facts
}

fn grants(grants: &[GrantUse]) -> Table {
    let mut table =
        Table::new().words("GRANT").words("GIVEN").words("BY").words("FIRST USED").prose("REMEDY");
    for grant in grants {
        table.row(vec![
            Cell::new(&grant.standing.grant),
            plan::given(&grant.standing),
            Cell::new(&grant.standing.by),
            Cell::optional(grant.first_used_unix_ms.map(quantity::moment)),
            plan::remedy(&grant.standing),
        ]);
    }
    table
}

fn versions(details: &DriverDetails) -> Table {
    let mut table = Table::new()
        .words("VERSION")
        .words("IN USE")
        .numbers("SIZE")
        .words("INSTALLED")
        .prose("FROM")
        .prose("DIGEST");
    for build in details.versions.iter().rev() {
        let used = if build.active { Cell::new("yes").tone(Tone::Good) } else { Cell::new("no") };
        table.row(vec![
            Cell::new(&build.version),
            used,
            Cell::new(quantity::size(build.size)),
            Cell::new(quantity::moment(build.installed_unix_ms)),
            Cell::new(&build.source),
            Cell::new(&build.digest),
        ]);
    }
    table
}
