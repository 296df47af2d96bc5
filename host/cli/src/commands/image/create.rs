//! `hostler image create`: makes an image.

use std::path::PathBuf;

use clap::Args;
use hostler_domains::NewImage;

use super::written;
use crate::commands::size::{self, SetAside};
use crate::failure::Stop;
use crate::output::Reply;
use crate::session::Session;

/// Make an image
///
/// It is whole when the command ends, or not there at all; nothing is ever replaced.
#[derive(Debug, Args)]
pub(super) struct Create {
    /// The new image
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Size that a guest sees, such as 10GiB; with --backing that of what is below if not given
    #[arg(value_name = "SIZE", value_parser = size::parse, required_unless_present = "backing")]
    size: Option<u64>,
    /// Format of the image
    #[arg(long, value_name = "FORMAT", default_value = "qcow2")]
    format: String,
    /// What is set aside at once
    #[arg(long, value_name = "WHAT", value_enum, default_value = "off")]
    preallocation: SetAside,
    /// Size of a cluster, such as 64KiB; for qcow2 and qed
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    cluster_size: Option<u64>,
    /// Image that the new one stands on
    #[arg(long, value_name = "IMAGE")]
    backing: Option<PathBuf>,
    /// Format of what the new image stands on; not needed for what looks like no image format
    #[arg(long, value_name = "FORMAT", requires = "backing")]
    backing_format: Option<String>,
}

impl Create {
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let shown = self.file.display().to_string();
        let new = NewImage {
            path: self.file,
            format: self.format,
            virtual_size: self.size.unwrap_or(0),
            preallocation: self.preallocation.into(),
            cluster_size: self.cluster_size,
            backing: self.backing.map(|path| (path, self.backing_format)),
        };
        let progress = session.output().progress("making the image");
        let made = session.block_on(async {
            let host = session.image_maker().await?;
            Ok(host.image_create(&new, progress.teller()).await?)
        });
        drop(progress);
        written(&made.map_err(|stop| stop.about("image", shown))?, "made")
    }
}
