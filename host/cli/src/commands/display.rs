//! `hostler display`: where a guest's screen is reached.

use clap::Args;

use super::{Target, view};
use crate::failure::Stop;
use crate::output::table::{Cell, Table};
use crate::output::{Block, Reply};
use crate::session::Session;

/// Show where the screen of a running domain is reached
#[derive(Debug, Args)]
pub(crate) struct Display {
    #[command(flatten)]
    target: Target,
}

impl Display {
    /// Shows it.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let found = session
            .block_on(async { Ok(session.reader().await?.display(&self.target.reference()).await?) })?;
        let mut table = Table::new().words("DISPLAY").words("KIND").words("ADDRESS");
        for display in &found.displays {
            let uri = display.uri.as_deref().unwrap_or("-");
            table.row(vec![Cell::new(&display.alias), Cell::new(&display.kind), Cell::new(uri)]);
        }
        Ok(Reply::data(view::to_json(&found)?, vec![Block::Table(table)]))
    }
}
