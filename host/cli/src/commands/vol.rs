//! `hostler vol`: the volumes of a pool.

mod clone;
mod create;
mod delete;
mod download;
mod list;
mod path;
mod resize;
mod show;
mod upload;
mod xml;

use clap::{Args, Subcommand};
use hostler_domains::{PoolRef, VolumeSummary};
use serde_json::json;

use super::view;
use crate::failure::Stop;
use crate::output::{Block, Reply};
use crate::session::Session;

/// Work with the volumes of a pool: disk images and logical volumes
///
/// The format that a volume was made with is recorded, and a disk that names the volume gets it. The format
/// of what was brought into a pool by other means is shown and never guessed for a guest.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Vol {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    List(list::List),
    Show(show::Show),
    Xml(xml::Xml),
    Create(create::Create),
    Clone(clone::Clone),
    Resize(resize::Resize),
    Upload(upload::Upload),
    Download(download::Download),
    Delete(delete::Delete),
    Path(path::Path),
}

impl Vol {
    /// Does what was asked.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        match self.what {
            What::List(command) => command.run(session),
            What::Show(command) => command.run(session),
            What::Xml(command) => command.run(session),
            What::Create(command) => command.run(session),
            What::Clone(command) => command.run(session),
            What::Resize(command) => command.run(session),
            What::Upload(command) => command.run(session),
            What::Download(command) => command.run(session),
            What::Delete(command) => command.run(session),
            What::Path(command) => command.run(session),
        }
    }
}

/// The volume that a command is about.
#[derive(Debug, Args)]
struct VolumeTarget {
    /// Name or UUID of the pool
    #[arg(value_name = "POOL")]
    pool: String,
    /// Name of the volume
    #[arg(value_name = "VOLUME")]
    volume: String,
}

impl VolumeTarget {
    fn pool(&self) -> PoolRef {
        PoolRef::new(self.pool.as_str())
    }
}

/// The reply of a command that changed one volume.
fn changed(volume: &VolumeSummary, done: &str) -> Result<Reply, Stop> {
    let line = format!("volume '{}' of pool '{}' {done}", volume.name, volume.pool);
    Ok(Reply::confirmation(json!({"volume": view::to_json(volume)?}), vec![Block::Line(line)]))
}

/// The format as it is shown: the recorded one, or what the content looks like, marked as no more than that.
fn format(volume: &VolumeSummary) -> Option<String> {
    let seen = || volume.found_format.as_ref().map(|found| format!("{found} (seen)"));
    volume.format.clone().or_else(seen)
}

#[cfg(test)]
mod samples {
    use hostler_domains::VolumeSummary;

    /// A volume of that name, with its format recorded or only seen.
    pub(crate) fn volume(name: &str, recorded: bool) -> VolumeSummary {
        VolumeSummary {
            pool: "images".into(),
            name: name.into(),
            kind: "file".into(),
            path: format!("/srv/images/{name}").into(),
            format: recorded.then(|| "qcow2".into()),
            found_format: Some("qcow2".into()),
            capacity: 10 << 30,
            allocation: 200 << 10,
            physical: 193 << 10,
            backing: None,
            backing_format: None,
            cluster_size: Some(65536),
            compat: Some("1.1".into()),
            encryption: None,
            secret: None,
            problem: None,
        }
    }
}
