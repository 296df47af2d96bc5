//! `hostler driver encode`: makes a component of a core module from any language.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{author, check};
use crate::failure::Stop;
use crate::output::{Reply, quantity};
use crate::session::Session;

/// Make a driver of a core module, from any language that compiles to WebAssembly
///
/// The module imports and exports what the contract names, as bindings for the language make them; if it does not
/// say what contract it was made for, it is taken to be the one that this hostler offers. The manifest is JSON:
/// {"name": "acme", "version": "0.1.0", "contract": "0.1.1", "domain-types": ["acme"], "grants": []}
#[derive(Debug, Args)]
pub(super) struct Encode {
    /// The core module, as the linker wrote it
    #[arg(value_name = "CORE")]
    core: PathBuf,
    /// The manifest; needed unless the module has one in its section 'hostler:manifest'
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Write the component to FILE
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Encode {
    /// Encodes; the exit status says whether a host would refuse the driver.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let size = hostler_author::encode_files(&self.core, self.manifest.as_deref(), &self.out)
            .map_err(author::stop)?;
        let judged = check::judge(session, &self.out, None)?;
        let line = format!(
            "driver '{}' made: {} ({})",
            judged.plan.name.as_deref().unwrap_or("unknown"),
            self.out.display(),
            quantity::size(size)
        );
        let json =
            json!({"path": self.out, "size": size, "verdict": judged.verdict(), "plan": judged.to_json()?});
        Ok(author::made(&judged, json, line, &self.out))
    }
}
