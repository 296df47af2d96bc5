//! `hostler net show`: everything about one network.

use clap::Args;
use hostler_domains::NetworkDetails;

use super::{NetworkTarget, state};
use crate::commands::view;
use crate::failure::Stop;
use crate::output::colour::Tone;
use crate::output::table::{Cell, Facts};
use crate::output::{Block, Reply, quantity};
use crate::session::Session;

/// Show everything about one network
#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    target: NetworkTarget,
}

impl Show {
    /// Shows it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let details = session.block_on(async {
            let host = session.reader().await?;
            Ok(host.network_show(&self.target.reference()).await?)
        })?;
        Ok(Reply::data(view::to_json(&details)?, vec![Block::Facts(facts(&details))]))
    }
}

fn facts(details: &NetworkDetails) -> Facts {
    let network = &details.summary;
    let listed = |words: &[String]| Some(words.join(", ")).filter(|text| !text.is_empty());
    let mut facts = Facts::new();
    facts.add("name", &network.name);
    facts.add("uuid", network.uuid.to_string());
    facts.add("state", state(network.active));
    facts.add_known("missing", listed(&details.missing).map(|text| Cell::new(text).tone(Tone::Warning)));
    facts.add("mode", &network.mode);
    facts.add_known("bridge", network.bridge.as_deref());
    facts.add_known("addresses", listed(&network.addresses));
    facts.add_known("ports", listed(&details.ports));
    facts.add_known("domains", listed(&details.domains));
    facts.add("leases", details.leases.to_string());
    facts.add("autostart", if network.autostart { "yes" } else { "no" });
    facts.add("defined", quantity::moment(details.created_unix_ms));
    facts.add("generation", details.generation.to_string());
    facts.add_known("kept unused", listed(&details.unmodelled));
    facts
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn facts_have_what_is_missing_and_who_is_connected() {
        let details = NetworkDetails {
            summary: samples::network("default", true),
            ports: vec!["vnet0".into()],
            missing: vec!["its dnsmasq".into()],
            leases: 2,
            domains: vec!["vm".into()],
            generation: 1,
            created_unix_ms: 0,
            unmodelled: Vec::new(),
        };
        let text = facts(&details).render(false);
        for line in
            ["missing:     its dnsmasq\n", "ports:       vnet0\n", "domains:     vm\n", "leases:      2\n"]
        {
            assert!(text.contains(line), "{text}");
        }
    }
}
