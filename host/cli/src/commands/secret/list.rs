//! `hostler secret list`: the secrets of this host.

use clap::Args;
use hostler_domains::SecretSummary;
use serde_json::json;

use crate::commands::view;
use crate::failure::Stop;
use crate::output::table::{Cell, Table};
use crate::output::{Block, Reply};
use crate::session::Session;

/// List the secrets, without their values
#[derive(Debug, Args)]
pub(super) struct List {}

impl List {
    /// Lists them by identifier.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let secrets = session.block_on(async { Ok(session.reader().await?.secret_list().await?) })?;
        if secrets.is_empty() {
            session.output().note("no secret is defined; 'hostler secret define FILE' makes one");
        }
        Ok(Reply::data(json!({"secrets": view::to_json(&secrets)?}), vec![Block::Table(table(&secrets))]))
    }
}

fn table(secrets: &[SecretSummary]) -> Table {
    let mut table = Table::new().words("UUID").words("USAGE").words("VALUE").words("PRIVATE").prose("FOR");
    let yes_no = |is: bool| Cell::new(if is { "yes" } else { "no" });
    for secret in secrets {
        table.row(vec![
            Cell::new(secret.uuid.to_string()),
            Cell::new(&secret.usage),
            yes_no(secret.has_value),
            yes_no(secret.private),
            Cell::new(&secret.usage_id),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_have_a_line_each() {
        let secret = SecretSummary {
            uuid: "c7a5fdbd-edaf-9455-926a-d65c16db1809".parse().unwrap(),
            usage: "volume".into(),
            usage_id: "/v".into(),
            description: None,
            ephemeral: false,
            private: true,
            has_value: false,
        };
        let text = table(&[secret]).render(None, false);
        assert!(
            text.contains("c7a5fdbd-edaf-9455-926a-d65c16db1809  volume  no     yes      /v\n"),
            "{text}"
        );
    }
}
