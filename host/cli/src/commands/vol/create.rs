//! `hostler vol create`: makes a volume.

use std::path::PathBuf;

use clap::Args;
use hostler_domains::{NewVolume, PoolRef, SecretRef, VolumeSummary};

use super::changed;
use crate::commands::size::{self, SetAside};
use crate::failure::Stop;
use crate::input;
use crate::output::{Reply, quantity};
use crate::session::Session;

/// Make a volume in a pool
///
/// It is whole when the command ends, or not there at all. The format is recorded: a disk that names the
/// volume gets it.
#[derive(Debug, Args)]
pub(super) struct Create {
    /// Name or UUID of the pool
    #[arg(value_name = "POOL")]
    pool: String,
    /// Name of the new volume
    #[arg(value_name = "VOLUME", required_unless_present = "xml", conflicts_with = "xml")]
    volume: Option<String>,
    /// Size that a guest sees, such as 10GiB; with --backing that of what is below if not given
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    #[arg(required_unless_present_any = ["xml", "backing"], conflicts_with = "xml")]
    capacity: Option<u64>,
    /// Format of the volume
    #[arg(long, value_name = "FORMAT", default_value = "qcow2", conflicts_with = "xml")]
    format: String,
    /// Size that is set aside at once; of a raw volume
    #[arg(long, value_name = "SIZE", value_parser = size::parse, conflicts_with = "xml")]
    allocation: Option<u64>,
    /// What is set aside at once; of a volume with a format
    #[arg(long, value_name = "WHAT", value_enum, default_value = "off")]
    preallocation: SetAside,
    /// Volume of the pool, or path of an image, that the new volume stands on
    #[arg(long, value_name = "IMAGE", conflicts_with = "xml")]
    backing: Option<PathBuf>,
    /// Format of what the new volume stands on; that of a volume made here is known
    #[arg(long, value_name = "FORMAT", requires = "backing")]
    backing_format: Option<String>,
    /// Secret with the passphrase that the volume is encrypted with (LUKS): its UUID, or the volume that it is for
    #[arg(long, value_name = "SECRET", conflicts_with = "xml")]
    secret: Option<String>,
    /// Take the volume XML from FILE instead of options; '-' reads standard input
    #[arg(long, value_name = "FILE")]
    xml: Option<PathBuf>,
}

impl Create {
    /// Makes it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let file = self.xml.clone();
        let pool = PoolRef::new(self.pool.as_str());
        let new = self.asked(session)?;
        let progress = session.output().progress("making the volume");
        let made = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.vol_create(&pool, &new, progress.teller()).await?)
        });
        drop(progress);
        let made = made.map_err(|stop| match &file {
            Some(file) => stop.in_file(file),
            None => stop,
        })?;
        changed(&made, &done(&made))
    }

    fn asked(self, session: &Session) -> Result<NewVolume, Stop> {
        let preallocation = self.preallocation.into();
        if let Some(file) = &self.xml {
            return Ok(NewVolume::Document { xml: input::document(file, session)?, preallocation });
        }
        Ok(NewVolume::Options {
            name: self.volume.unwrap_or_default(),
            capacity: self.capacity.unwrap_or(0),
            format: self.format,
            allocation: self.allocation,
            preallocation,
            backing: self.backing.map(|path| (path, self.backing_format)),
            secret: self.secret.map(SecretRef::new),
        })
    }
}

fn done(volume: &VolumeSummary) -> String {
    let format = volume.format.as_deref().unwrap_or(&volume.kind);
    format!("made ({format}, {})", quantity::size(volume.capacity))
}
