//! The channels of a guest: where the host reaches the far end of each.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use hostler_domain::chardev::{CharBackend, Chardev};
use hostler_launch::ShimClient;
use hostler_runtime::channel_alias;
use hostler_state::RunDir;

/// The far end of a channel.
pub(crate) enum FarEnd {
    /// A socket that the hypervisor accepts one connection on at a time.
    Socket(PathBuf),
    /// Kept by the shim, under this alias.
    Kept(String),
}

impl FarEnd {
    /// That of a channel, which is the one at this place among all channels; none for one that leads elsewhere.
    pub(crate) fn of(channel: &Chardev, position: usize, run: &RunDir) -> Option<Self> {
        match &channel.source.backend {
            CharBackend::Unix { path: Some(path), listen: true, .. } => Some(Self::Socket(path.into())),
            CharBackend::Unix { path: None, .. } => {
                Some(Self::Socket(run.path().join(format!("{}.sock", channel_alias(channel, position)))))
            }
            CharBackend::Pty { .. } => Some(Self::Kept(channel_alias(channel, position))),
            _ => None,
        }
    }

    /// Connects to it, at most for so long. Blocks.
    ///
    /// # Errors
    /// What the system says, or the shim.
    pub(crate) fn connect(&self, run: &RunDir, wait: Duration) -> io::Result<UnixStream> {
        match self {
            Self::Socket(path) => hostler_launch::connect_unix(path, wait),
            Self::Kept(alias) => {
                let client = ShimClient::connect(run).map_err(io::Error::other)?;
                client.console(alias, false).map_err(io::Error::other)
            }
        }
    }
}
