//! `hostler net leases`: what a network has lent.

use clap::Args;
use hostler_domains::Lease;

use super::NetworkTarget;
use crate::commands::view;
use crate::failure::Stop;
use crate::output::table::{Cell, Table};
use crate::output::{Block, Reply, quantity};
use crate::session::Session;

/// List the addresses that a network has lent
///
/// Names are what the guests call themselves.
#[derive(Debug, Args)]
pub(super) struct Leases {
    #[command(flatten)]
    target: NetworkTarget,
}

impl Leases {
    /// Lists them by address.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let lent = session.block_on(async {
            let host = session.reader().await?;
            Ok(host.network_leases(&self.target.reference()).await?)
        })?;
        if lent.leases.is_empty() {
            session.output().note(&format!("the network '{}' has lent no address", lent.network));
        }
        Ok(Reply::data(view::to_json(&lent)?, vec![Block::Table(table(&lent.leases))]))
    }
}

fn table(leases: &[Lease]) -> Table {
    let mut table = Table::new().words("ADDRESS").words("MAC").words("NAME").words("UNTIL");
    for lease in leases {
        let until = lease.expires_unix.map(|seconds| quantity::moment(seconds.saturating_mul(1000)));
        table.row(vec![
            Cell::new(lease.ip.to_string()),
            Cell::new(&lease.mac),
            Cell::optional(lease.hostname.as_deref()),
            Cell::new(until.unwrap_or_else(|| "for ever".to_owned())),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_end_is_told_so() {
        let lease = |expires_unix| Lease {
            expires_unix,
            mac: "52:54:00:00:00:01".into(),
            ip: "10.0.0.2".parse().unwrap(),
            hostname: Some("vm".into()),
            client_id: None,
        };
        let text = table(&[lease(None), lease(Some(0))]).render(None, false);
        assert!(text.contains("10.0.0.2  52:54:00:00:00:01  vm    for ever\n"), "{text}");
        assert!(text.contains("1970-01-01"), "{text}");
    }
}
