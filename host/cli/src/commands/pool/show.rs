//! `hostler pool show`: everything about one pool.

use clap::Args;
use hostler_domains::PoolDetails;

use super::{PoolTarget, kind, skipped, state};
use crate::commands::view;
use crate::failure::Stop;
use crate::output::table::{Cell, Facts};
use crate::output::{Block, Reply, quantity};
use crate::session::Session;

/// Show everything about one pool
///
/// A pool that is started is measured now.
#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    target: PoolTarget,
}

impl Show {
    /// Shows it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let details = session.block_on(async {
            let host = session.reader().await?;
            Ok(host.pool_show(&self.target.reference()).await?)
        })?;
        let mut blocks = vec![Block::Facts(facts(&details))];
        blocks.extend(skipped(&details.skipped));
        Ok(Reply::data(view::to_json(&details)?, blocks))
    }
}

fn facts(details: &PoolDetails) -> Facts {
    let pool = &details.summary;
    let mut facts = Facts::new();
    facts.add("name", &pool.name);
    facts.add("uuid", pool.uuid.to_string());
    facts.add("state", state(pool.active));
    facts.add("type", &pool.kind);
    facts.add_known("target", pool.target.as_ref().map(|path| path.display().to_string()));
    facts.add("kind", kind(pool));
    facts.add("autostart", if pool.autostart { "yes" } else { "no" });
    if let Some(space) = &details.space {
        facts.add("capacity", quantity::size(space.capacity));
        facts.add("allocation", quantity::size(space.allocation));
        facts.add("available", quantity::size(space.available));
    }
    facts.add_known("volumes", details.volumes.map(|count| count.to_string()));
    facts.add_known("problem", details.problem.as_deref());
    facts.add("defined", quantity::moment(details.created_unix_ms));
    facts.add("generation", details.generation.to_string());
    let kept = Some(details.unmodelled.join(", ")).filter(|elements| !elements.is_empty());
    facts.add_known("kept unused", kept.map(Cell::new));
    facts
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;
    use hostler_domains::PoolSpace;

    #[test]
    fn facts_have_what_was_measured() {
        let details = PoolDetails {
            summary: samples::pool("images", true),
            space: Some(PoolSpace { capacity: 3 << 30, allocation: 1 << 30, available: 2 << 30 }),
            volumes: Some(7),
            skipped: Vec::new(),
            problem: None,
            generation: 1,
            created_unix_ms: 0,
            unmodelled: Vec::new(),
        };
        let text = facts(&details).render(false);
        assert!(text.contains("state:       active\n") && text.contains("volumes:     7\n"), "{text}");
        assert!(text.contains("available:   2 GiB\n") && !text.contains("problem"), "{text}");
    }
}
