//! `hostler secret show`: everything about one secret but what it is.

use clap::Args;
use hostler_domains::SecretSummary;

use super::SecretTarget;
use crate::commands::view;
use crate::failure::Stop;
use crate::output::table::{Cell, Facts};
use crate::output::{Block, Reply};
use crate::session::Session;

/// Show everything about one secret, without its value
#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    target: SecretTarget,
}

impl Show {
    /// Shows it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let secret = session.block_on(async {
            let host = session.reader().await?;
            Ok(host.secret_show(&self.target.reference()).await?)
        })?;
        Ok(Reply::data(view::to_json(&secret)?, vec![Block::Facts(facts(&secret))]))
    }
}

fn facts(secret: &SecretSummary) -> Facts {
    let yes_no = |is: bool| if is { "yes" } else { "no" };
    let mut facts = Facts::new();
    facts.add("uuid", secret.uuid.to_string());
    facts.add("usage", &secret.usage);
    facts.add_known("for", Some(Cell::new(&secret.usage_id)).filter(|_| !secret.usage_id.is_empty()));
    facts.add_known("description", secret.description.as_deref().map(Cell::new));
    facts.add("private", yes_no(secret.private));
    facts.add("value", if secret.has_value { "set" } else { "none yet" });
    facts
}
