//! A driver's machine code, as a worker gets it: a file without a name that nobody can change any more.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use wasmtime::component::Component;

/// Copies what this host has compiled, or has found authentic, into memory that is sealed.
///
/// # Errors
/// There is no memory for it, or no descriptor.
pub(crate) fn sealed(component: &Component) -> io::Result<OwnedFd> {
    let code = component.serialize().map_err(io::Error::other)?;
    let fd = memfd_create(c"hostler-driver", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut file = File::from(fd);
    file.write_all(&code)?;
    fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
    Ok(file.into())
}
