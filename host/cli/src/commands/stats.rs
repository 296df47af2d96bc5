//! `hostler stats`: what is counted of domains that run.

use clap::Args;
use hostler_domains::{DomainRef, DomainStats};
use serde_json::{Map, Value, json};

use super::view;
use crate::failure::Stop;
use crate::output::table::{Cell, Table};
use crate::output::{Block, Reply};
use crate::session::Session;

/// Show what is counted of domains that run: processors, memory, disks
///
/// Names and units are those of libvirt's bulk statistics: times in nanoseconds, balloon and memory in KiB, disks in bytes.
/// A hypervisor that does not answer keeps nobody waiting: what the host itself counts is shown, and why the rest is not.
#[derive(Debug, Args)]
pub(crate) struct Stats {
    /// The domains, by name or identifier; all that run when none is given
    #[arg(value_name = "DOMAIN")]
    domains: Vec<String>,
}

impl Stats {
    /// Shows them.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let wanted: Vec<_> = self.domains.into_iter().map(DomainRef::new).collect();
        let stats = session.block_on(async { Ok(session.reader().await?.stats(&wanted).await?) })?;
        if stats.is_empty() {
            session.output().note("no domain runs");
        }
        for lacking in stats.iter().filter(|stats| stats.missing.is_some()) {
            let why = lacking.missing.as_deref().unwrap_or_default();
            session
                .output()
                .note(&format!("'{}': counters of the hypervisor are missing: {why}", lacking.name));
        }
        let json = stats.iter().map(as_json).collect::<Result<Vec<_>, _>>()?;
        Ok(Reply::data(json!({"domains": json}), vec![Block::Table(table(&stats))]))
    }
}

fn table(stats: &[DomainStats]) -> Table {
    let mut table = Table::new().words("DOMAIN").words("COUNTER").numbers("VALUE");
    for domain in stats {
        for (name, value) in &domain.counters {
            table.row(vec![Cell::new(&domain.name), Cell::new(name), Cell::new(value)]);
        }
    }
    table
}

/// Counters as members, and as numbers where they are some.
fn as_json(stats: &DomainStats) -> Result<Value, Stop> {
    let counters: Map<_, _> = stats
        .counters
        .iter()
        .map(|(name, value)| {
            let value = value.parse::<u64>().map_or_else(|_| json!(value), |number| json!(number));
            (name.clone(), value)
        })
        .collect();
    let mut json = view::to_json(stats)?;
    if let Some(members) = json.as_object_mut() {
        members.insert("counters".to_owned(), Value::Object(counters));
    }
    Ok(json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_domains::RunState;

    #[test]
    fn numbers_are_numbers_and_words_are_words() {
        let counters =
            vec![("cpu.time".to_owned(), "7".to_owned()), ("block.0.name".to_owned(), "vda".to_owned())];
        let stats = DomainStats { name: "web".into(), state: RunState::Running, counters, missing: None };
        let json = as_json(&stats).unwrap();
        assert_eq!(json["counters"], json!({"cpu.time": 7, "block.0.name": "vda"}));
        assert_eq!(json["state"], "running");
    }
}
