//! A file that the host has opened for a driver: what handles of images, firmware and boot files stand for.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use hostler_launch::{Handle, Role};
use rustix::fs::OFlags;

/// One open file, or in a description the place where it would be opened.
#[derive(Debug)]
pub(crate) struct Opened {
    /// Nothing when the domain is only shown.
    pub(crate) fd: Option<OwnedFd>,
    pub(crate) writable: bool,
    pub(crate) role: Role,
    /// The format that it has been checked to be, by QEMU's name; `raw` for plain bytes.
    pub(crate) format: &'static str,
    /// Whether its header says that its data is in another file.
    pub(crate) data_apart: bool,
    /// For display and comparison only.
    pub(crate) path: PathBuf,
}

impl Opened {
    /// The launcher's handle, with a descriptor of its own for the same open file.
    ///
    /// # Errors
    /// When the process has no descriptor left.
    pub(crate) fn handle(&self) -> io::Result<Handle> {
        let fd = self.fd.as_ref().map(OwnedFd::try_clone).transpose()?;
        if let Some(fd) = &fd {
            // Opened without blocking because it could have been a FIFO; from here on it is an ordinary file.
            let flags = rustix::fs::fcntl_getfl(fd)?;
            rustix::fs::fcntl_setfl(fd, flags - OFlags::NONBLOCK)?;
        }
        let Self { writable, role, format, data_apart, .. } = *self;
        Ok(Handle::Descriptor { fd, writable, role, format, data_apart, path: self.path.clone() })
    }
}
