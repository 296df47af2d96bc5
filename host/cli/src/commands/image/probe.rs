//! `hostler image probe`: the verdict on a file that somebody hands over, for programs that take images in.

use std::path::PathBuf;

use clap::Args;
use serde_json::Value;

use crate::commands::view;
use crate::failure::{Failure, Stop};
use crate::output::{Block, Reply, with_schema};

/// Judge an image from elsewhere before anything opens it, as one line of JSON
///
/// The verdict is "safe", "must-refuse" or "unsupported", and each of them is exit status 0. Nothing but the file is
/// opened, no link is followed, and at most 2 MiB of it are read. Stricter than a start: an image from elsewhere
/// may name no other file, and must not look like anything but what it is declared to be.
#[derive(Debug, Args)]
pub(super) struct Probe {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The directory that the file has to lie in; by default the one it is named in
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// What it is handed over as: raw, qcow2, vmdk, vhd, vhdx, vdi, luks, iso, nvram …; "none" when nothing is said
    #[arg(long, value_name = "FORMAT", default_value = "none")]
    declared: String,
}

impl Probe {
    pub(super) fn run(self) -> Result<Reply, Stop> {
        let declared = Some(self.declared.as_str()).filter(|declared| *declared != "none");
        let probe = hostler_domains::probe_image(self.root.as_deref(), &self.file, declared);
        let probe = probe.map_err(|error| Stop::from(error).about("image", self.file.display()))?;
        let mut answer = view::to_json(&probe)?;
        if let Value::Object(members) = &mut answer {
            let problem = probe.refusal.map(|refusal| Failure::from(refusal).to_json());
            members.insert("problem".to_owned(), problem.unwrap_or(Value::Null));
        }
        let line = format!("{}\n", with_schema(answer.clone()));
        Ok(Reply::lines(vec![answer], vec![Block::Document(line)]))
    }
}
