//! Tap devices: made by name, and there for as long as somebody has a descriptor of one.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use hostler_domain::network::DEVICE_NAME_MAX_BYTES;
use rustix::fs::{Mode, OFlags, open};
use rustix::ioctl::{Opcode, Updater, ioctl};

/// The device that taps are made through.
const CONTROL: &str = "/dev/net/tun";
/// TUNSETIFF: takes a name and flags, and gives the name that there is.
const SET_INTERFACE: Opcode = 0x4004_54ca;
/// Frames of Ethernet.
const TAP: u16 = 0x0002;
/// Without four bytes before each of them.
const NO_INFORMATION: u16 = 0x1000;
/// With a header that tells of checksums and segments, which QEMU takes off where its device has no use for it.
const VIRTIO_HEADER: u16 = 0x4000;
/// One of several queues of a device.
const MULTI_QUEUE: u16 = 0x0100;

/// `struct ifreq` of the kernel, with the flags in its union.
#[repr(C)]
struct Request {
    name: [u8; DEVICE_NAME_MAX_BYTES + 1],
    flags: u16,
    rest: [u8; 22],
}

/// Opens a tap of this name, which may have `%d` for a number that is free, with so many queues. What it is called, and
/// a descriptor for each queue. It is gone when the last of them is closed.
pub(crate) fn open_tap(name: &str, queues: u32) -> io::Result<(String, Vec<OwnedFd>)> {
    let several = if queues > 1 { MULTI_QUEUE } else { 0 };
    let flags = TAP | NO_INFORMATION | VIRTIO_HEADER | several;
    let mut name = name.to_owned();
    let mut fds = Vec::new();
    for _ in 0..queues.max(1) {
        let fd = open(CONTROL, OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?;
        name = set_interface(fd.as_fd(), &name, flags)?;
        fds.push(fd);
    }
    Ok((name, fds))
}

#[expect(
    unsafe_code,
    reason = "no crate has a safe call for TUNSETIFF that leaves the descriptor to its caller"
)]
fn set_interface(fd: BorrowedFd<'_>, name: &str, flags: u16) -> io::Result<String> {
    let mut request = Request { name: [0; DEVICE_NAME_MAX_BYTES + 1], flags, rest: [0; 22] };
    let fits = name.len() <= DEVICE_NAME_MAX_BYTES;
    let Some(place) = request.name.get_mut(..name.len()).filter(|_| fits) else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    };
    place.copy_from_slice(name.as_bytes());
    // SAFETY: the opcode takes a `struct ifreq` to read and write, which `Request` is laid out as (40 bytes), and the
    // kernel keeps no pointer to it.
    unsafe { ioctl(fd, Updater::<{ SET_INTERFACE }, Request>::new(&mut request)) }?;
    let name = request.name.iter().take_while(|byte| **byte != 0).map(|byte| char::from(*byte));
    Ok(name.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_is_laid_out_as_the_kernel_reads_it() {
        assert_eq!((size_of::<Request>(), std::mem::offset_of!(Request, flags)), (40, 16));
        let too_long = open_tap("sixteen-letters-", 1).unwrap_err();
        assert_ne!(too_long.kind(), io::ErrorKind::NotFound);
    }
}
