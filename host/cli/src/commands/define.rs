//! `hostler define`: stores the definition of a domain.

use std::path::PathBuf;

use clap::Args;
use hostler_domains::FirmwareChoice;
use serde_json::json;

use super::view;
use crate::failure::Stop;
use crate::input;
use crate::output::{Block, Reply};
use crate::session::Session;

/// Store the definition of a domain from its XML
///
/// A definition of the same name and UUID is replaced; a running domain goes on as it was started.
/// Elements that hostler does not act on are kept, and named in a warning.
#[derive(Debug, Args)]
pub(crate) struct Define {
    /// File with the domain XML; '-' reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Define {
    /// Stores it and says whether it is new.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let xml = input::document(&self.file, session)?;
        let defined = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.define(&xml).await?)
        });
        let defined = defined.map_err(|stop| stop.in_file(&self.file))?;
        defined.warnings.iter().for_each(|warning| session.output().warning(&warning.message));
        let done = if defined.created { "defined" } else { "redefined" };
        let line = format!("domain '{}' {done} ({})", defined.summary.name, defined.summary.uuid);
        let firmware =
            defined.firmware.as_ref().map(|choice| Block::Line(sentence(choice, &defined.summary.name)));
        let json = json!({
            "domain": view::to_json(&defined.summary)?,
            "created": defined.created,
            "firmware": view::to_json(&defined.firmware)?,
            "warnings": view::to_json(&defined.warnings)?,
        });
        Ok(Reply::confirmation(json, std::iter::once(Block::Line(line)).chain(firmware).collect()))
    }
}

/// What was chosen, and where the reasons are.
fn sentence(choice: &FirmwareChoice, domain: &str) -> String {
    let (code, descriptor) = (choice.code.display(), choice.descriptor.display());
    let name = hostler_image::shell_quote(domain);
    format!("its firmware is {code}, of {descriptor}; 'hostler firmware explain {name}' says why")
}
