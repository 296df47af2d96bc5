//! Where devices sit: every address that the document leaves open is chosen here, once.
//!
//! The choices follow libvirt's to the bit, because guests and migration depend on them.

pub(crate) mod drive;
pub(crate) mod memory;
pub(crate) mod pci;
pub(crate) mod place;
pub(crate) mod usb;
mod usb_ports;
pub(crate) mod virtio_serial;
